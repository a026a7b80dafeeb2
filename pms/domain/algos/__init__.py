"""Algos: decision machines over one order path. A machine says what it wants, `conduct` makes it so.

    machine     one a kind: pure; reads a view, returns a plan of what each slot should have at the exchange
    machines    chase; twap (slices, course, volumes); trail_stop, bracket (exits); scalper (layers, ladder)
                basket (legs, one_order, undoing): each leg by the machine of its own kind
    viewing     what is so, as a machine is shown it
    conduct     compares plan and reality, and places, amends and cancels the difference in one entry
    moving      a resting order is brought to other terms, and in what time
    sizing      how much one order may be for
    children    the orders of algos: their ids, their admission, their amendments
    clearing    what rests makes way for an exit that closes at market
    counting    what children trade, counted in the trade's own entry
    starting    the commands: start, amend, cancel, pause, resume
    together    whether all that an algo of several parts is for could be, judged before any of it is
    ending      ended from outside: by a liquidation, by whoever cancels all
    telling     what is told of an algo

A new algo is a machine of its own, its command in `contract/algo_commands`, and a line in `machines`.
"""
