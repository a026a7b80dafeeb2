// Drives the reference client by lines of JSON: {op, id, ...} in, {id, ...} or {event} out.
import { createInterface } from 'node:readline';
import { Gateway } from '../gateway/pms.mjs';

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const pms = await Gateway.connect(process.argv[2]);
pms.on('event', (event) => say({ event }));
pms.on('resync', (resync) => say({ resync }));
pms.on('connection', (error) => say({ connection: error?.message ?? 'back' }));

const operations = {
  submit: ({ command, fields, timeoutMs, undefined: none = [] }) =>
    pms.submit(command, { ...fields, ...Object.fromEntries(none.map((name) => [name, undefined])) }, { timeoutMs }),
  result: ({ requestId, timeoutMs }) => pms.result(requestId, { timeoutMs }),
  follow: ({ position }) => pms.follow(position).then(() => pms.position),
  position: async () => pms.position,
};
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  operations[order.op](order).then(
    (answer) => say({ id: order.id, answer }),
    (error) => say({ id: order.id, error: error.constructor.name, text: error.message, requestId: error.requestId }),
  );
}
await pms.close();
