"""One file a step, in order. A step only adds; none is ever changed once released."""
