/**
 * Reference client of the PMS: submit a command, await its one result, follow the events.
 *
 *   const pms = await Gateway.connect('redis://127.0.0.1:6379/0');
 *   pms.on('event', (event) => broadcast(event.subAccountId, event));
 *   pms.on('resync', () => reloadEverything());
 *   await pms.follow(await load('position'));            // null the first time
 *   const result = await pms.submit('pms.trade', {
 *     subAccountId: 'alice', symbol: 'BTCUSDT', side: 'BUY', quantity: '0.010', leverage: 10 });
 *   await save('position', pms.position);                // after events were handed on
 *
 * Three rules keep money safe, and this file keeps them:
 *  1. No automatic retry, no offline queue: a command whose reply was lost may have arrived. Submit again
 *     with the SAME requestId, the error's where none was given; it gets the first answer and makes one order.
 *  2. `success: true` with state `placing` or `unknown` means admitted, not yet proven. Events follow.
 *  3. Prices and quantities are strings: a JS number cannot hold every decimal.
 *
 * Types: ../docs/contract/pms.d.ts. Refusal codes: ../docs/contract/codes.md.
 */
import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { Redis } from 'ioredis';

/** @typedef {import('../docs/contract/pms.d.ts').Result} Result */
/** @typedef {import('../docs/contract/pms.d.ts').PmsEvent} PmsEvent */
/** @typedef {{id: string, seqs: Record<string, number>, run?: string}} Position
 * Where the reader of events stands, and in which life of Redis. */

const SUBMIT_LUA = readFileSync(new URL('../pms/bus/lua/submit.lua', import.meta.url), 'utf8');
const RECORD_KEPT_S = 86_400;
const WHOLE = /^[+-]?[0-9]+(\.0+)?$/;
const TTL_MS = { default: 5_000, least: 100, most: 60_000 };
const URGENT = new Set(['pms.cancel', 'pms.cancel_all', 'pms.cancel_algo', 'pms.halt']);
const ORDINARY = new Set([
  'pms.trade', 'pms.batch', 'pms.amend', 'pms.close', 'pms.close_all', 'pms.chase', 'pms.trail_stop', 'pms.bracket',
  'pms.basket', 'pms.scalper', 'pms.twap', 'pms.algo', 'pms.resume',
]); // all else is the streamer's alone: no worker has a task of that name, or it is another's
const EVENTS = 'pms:events:*';
const STREAM = 'pms:stream:events';
const BEGINNING = '0-0';
const EVENTS_KEPT = 20_000;
const PAGE = 500;
const TURNED_AWAY = {
  conflict: { code: 'REQUEST_ID_REUSED', error: 'this requestId belongs to another command, which stands' },
  bad: { code: 'BAD_REQUEST_ID', error: 'requestId is not a UUID in lower case with dashes' },
};
const ANSWERED_WITHIN_MS = 3_000; // of its deadline
const PING_EVERY_MS = 2_000;
const FAIL_FAST = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  commandTimeout: 2_000,
  connectTimeout: 2_000,
  socketTimeout: 4_000, // of the pings: a peer that is gone without a word closes nothing by itself
  autoResubscribe: false, // done here, in the order that loses nothing
  lazyConnect: true,
};

/** No answer in time. The command may yet be decided: call `result(requestId)`, do not make a new one. */
export class Undecided extends Error {
  constructor(requestId, timeoutMs) {
    super(`no answer to ${requestId} within ${timeoutMs} ms; ask again with the same requestId`);
    this.requestId = requestId;
  }
}

/** Redis did not confirm the command, which may have arrived: submit it again with this `requestId`. */
export class Unconfirmed extends Error {
  constructor(requestId, cause) {
    super(`${requestId} may have arrived (${cause.message}); submit it again with the same requestId`, { cause });
    this.requestId = requestId;
  }
}

/**
 * Emits `event` (PmsEvent, each once, in order for a sub-account), `resync` ({since, first}: events were trimmed
 * before they were read, or Redis began another life and may have lost some, so read every account anew) and
 * `connection` (Error, or null when back).
 */
export class Gateway extends EventEmitter {
  #commands;
  #listener;
  #waiting = new Map(); // requestId -> the answer's promise and how many read it
  #position = null;
  #early = null; // live events that arrive while the past is still being read
  #turn = Promise.resolve();
  #closed = false;
  #pinging;

  /** Connect to `redis://…`, `rediss://…` or `unix:///path?db=0&password=…`; rejects if Redis does not answer. */
  static async connect(url) {
    const gateway = new Gateway();
    gateway.#commands = open(url);
    gateway.#listener = open(url);
    gateway.#commands.defineCommand('pmsSubmit', { numberOfKeys: 4, lua: SUBMIT_LUA });
    let why;
    for (const redis of [gateway.#commands, gateway.#listener]) {
      redis.on('error', (error) => gateway.emit('connection', (why = bare(error))));
      await redis.connect().catch((error) => {
        gateway.close(); // else it would go on trying, unheard
        throw why ?? bare(error);
      });
    }
    gateway.#listener.on('message', (channel, text) => gateway.#answered(channel, text));
    gateway.#listener.on('pmessage', (_pattern, _channel, text) => gateway.#live(JSON.parse(text)));
    for (const redis of [gateway.#commands, gateway.#listener]) redis.on('ready', () => gateway.#again());
    gateway.#pinging = setInterval(() => gateway.#ping(), PING_EVERY_MS).unref();
    return gateway;
  }

  /**
   * Record a command, wake its worker, and await the result.
   *
   * Rejects with Unconfirmed or Undecided, which carry the `requestId`; with TypeError where nothing was sent: a
   * `requestId` that is no text, a field that is there and undefined (left out, it may mean every account, or all
   * of a position), a number that JS does not hold exactly.
   * @param {string} command task name, e.g. `pms.trade`
   * @param {object} fields the command; a missing requestId is drawn
   * @param {{timeoutMs?: number}} options how long to await; by default three seconds longer than `ttlMs`
   * @returns {Promise<Result>}
   */
  async submit(command, fields, { timeoutMs = ttl(fields.ttlMs) + ANSWERED_WITHIN_MS } = {}) {
    const text = canonical({ ...fields, requestId: fields.requestId ?? randomUUID() });
    const { requestId } = JSON.parse(text);
    mustBeText({ command, requestId }); // Redis would take a list for many arguments
    const queue = URGENT.has(command) ? 'urgent' : 'commands';
    const message = URGENT.has(command) || ORDINARY.has(command) ? wakeUp(command, requestId, queue) : '';
    const [kind, earlier] = await this.#commands.pmsSubmit(
      `pms:request:${requestId}`, 'pms:requests:open', 'pms:inbox', queue,
      requestId, command, text, ttl(fields.ttlMs), RECORD_KEPT_S, message, 'record',
    ).catch((error) => { throw new Unconfirmed(requestId, bare(error)); });
    if (TURNED_AWAY[kind]) return { success: false, requestId, command, field: 'requestId', ...TURNED_AWAY[kind] };
    return kind === 'repeat' && earlier ? JSON.parse(earlier) : this.result(requestId, { timeoutMs });
  }

  /** Await the result of a command that was submitted before, by this client or another. */
  async result(requestId, { timeoutMs = TTL_MS.default + ANSWERED_WITHIN_MS } = {}) {
    mustBeText({ requestId });
    const waiting = this.#waiting.get(requestId) ?? this.#wait(requestId);
    const late = new AbortController();
    const timeout = setTimeout(timeoutMs, null, { signal: late.signal }).then(async () => {
      const found = await this.#found(requestId).catch(() => null); // told while nobody heard
      if (!found) throw new Undecided(requestId, timeoutMs);
      return found;
    });
    waiting.readers += 1;
    try {
      return await Promise.race([waiting.answer, timeout]);
    } finally {
      late.abort();
      timeout.catch(() => {});
      waiting.readers -= 1;
      if (!waiting.readers) this.#forget(requestId);
    }
  }

  /**
   * Follow the events from a stored position, or from now.
   *
   * Rejects where Redis fails on the way; what is followed by then goes on by itself when it is back.
   * @param {Position | null} position
   */
  async follow(position = null) {
    this.#position = structuredClone(position) ?? { id: await this.#head(), seqs: {} };
    await this.#catchUp().catch((error) => {
      this.#listener.disconnect(true); // its next 'ready' tries again
      throw error;
    });
  }

  /** Where the events stand; store it, and give it to `follow` after an absence. */
  get position() {
    return this.#position && structuredClone(this.#position);
  }

  /** The latest snapshot of a key such as `pms:risk:alice` or `pms:price:BTCUSDT`; null when it expired. */
  async read(key) {
    return JSON.parse(await this.#commands.get(key));
  }

  async close() {
    this.#closed = true;
    clearInterval(this.#pinging);
    for (const redis of [this.#commands, this.#listener]) redis.disconnect();
  }

  /** Who only listens would never learn that nobody speaks any more. */
  #ping() {
    for (const redis of [this.#commands, this.#listener]) if (redis.status === 'ready') redis.ping().catch(() => {});
  }

  #wait(requestId) {
    const waiting = { readers: 0 };
    waiting.answer = new Promise((resolve) => Object.assign(waiting, { resolve }));
    this.#waiting.set(requestId, waiting);
    this.#look(requestId).catch(() => {}); // a connection was lost: looked again when it is back
    return waiting;
  }

  /** Subscribe first, then look: an answer between the two is not missed. */
  async #look(requestId) {
    await this.#listener.subscribe(`pms:result:${requestId}`);
    const found = await this.#found(requestId);
    if (found) this.#waiting.get(requestId)?.resolve(found);
  }

  async #found(requestId) {
    return JSON.parse(await this.#commands.hget(`pms:request:${requestId}`, 'result'));
  }

  #answered(channel, text) {
    this.#waiting.get(channel.slice('pms:result:'.length))?.resolve(JSON.parse(text));
  }

  #forget(requestId) {
    this.#waiting.delete(requestId);
    this.#listener.unsubscribe(`pms:result:${requestId}`).catch(() => {});
  }

  /** A connection is back: whatever was said meanwhile is read, not assumed. */
  async #again() {
    if ([this.#commands, this.#listener].some((redis) => redis.status !== 'ready')) return; // the other's turn
    try {
      await Promise.all([...this.#waiting.keys()].map((requestId) => this.#look(requestId)));
      if (this.#position) await this.#catchUp();
      this.emit('connection', null);
    } catch (error) {
      if (this.#closed) return;
      this.emit('connection', error);
      this.#listener.disconnect(true); // its next 'ready' tries again
    }
  }

  /** One at a time: a second run must not let live events pass what the first is still reading. */
  #catchUp() {
    this.#turn = this.#turn.catch(() => {}).then(() => this.#readOn());
    return this.#turn;
  }

  async #readOn() {
    this.#early = [];
    await this.#listener.psubscribe(EVENTS);
    const run = /run_id:(\w+)/.exec(await this.#commands.info('server'))?.[1];
    const [first] = await this.#commands.xrange(STREAM, '-', '+', 'COUNT', 1);
    const since = this.#position.id;
    const missed = since === BEGINNING // before any event: the first one is gone only from a full stream
      ? await this.#commands.xlen(STREAM) >= EVENTS_KEPT
      : !first || after(first[0], since);
    const another = this.#position.run !== undefined && this.#position.run !== run;
    this.#position.run = run;
    if (missed || another) this.emit('resync', { since, first: first?.[0] ?? null });
    for (let page; !page || page.length === PAGE; ) {
      page = await this.#commands.xrange(STREAM, `(${this.#position.id}`, '+', 'COUNT', PAGE);
      for (const [id, fields] of page) {
        this.#position.id = id;
        this.#apply(JSON.parse(fields[1]));
      }
    }
    // Until the last one is handed on: a listener that throws must not let later ones pass the others.
    while (this.#early.length) this.#pass(this.#early.shift());
    this.#early = null;
  }

  #live(event) {
    if (this.#early) this.#early.push(event);
    else this.#pass(event);
  }

  #pass(event) {
    const id = `${event.seq}-0`; // the stream's entries are named by the event's seq
    if (after(id, this.#position.id)) this.#position.id = id;
    this.#apply(event);
  }

  #apply(event) {
    const { seqs } = this.#position;
    if (event.seq <= (seqs[event.subAccountId] ?? 0)) return;
    seqs[event.subAccountId] = event.seq;
    this.emit('event', event);
  }

  async #head() {
    const [last] = await this.#commands.xrevrange(STREAM, '+', '-', 'COUNT', 1);
    return last?.[0] ?? BEGINNING;
  }
}

/** JSON with sorted names, so that the same command is the same text whoever writes it; throws TypeError. */
export function canonical(value, path = '') {
  if (typeof value?.toJSON === 'function') return canonical(value.toJSON(), path);
  if (Array.isArray(value)) return `[${Array.from(value, (each, i) => canonical(each, `${path}[${i}]`)).join(',')}]`;
  if (value && typeof value === 'object') {
    const within = (name) => canonical(value[name], path ? `${path}.${name}` : name);
    return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${within(name)}`).join(',')}}`;
  }
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') mustBeExact(value, path);
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`${path} is ${typeof value}; leave it out where nothing is meant`);
  return text;
}

/** A decimal, or an id of 17 digits, may be another number by the time that it is one of JS. */
function mustBeExact(number, path) {
  if (!Number.isFinite(number)) throw new TypeError(`${path}: ${number} is no JSON number`);
  if (Math.abs(number) > Number.MAX_SAFE_INTEGER || String(number).includes('e')) {
    throw new TypeError(`${path}: ${number} may have lost digits; give it as text`);
  }
}

function mustBeText(fields) {
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value !== 'string') throw new TypeError(`${name} is no text`);
  }
}

/** An error without what was sent: a refused login would tell the password to whoever logs it. */
function bare(error) {
  delete error.command;
  return error;
}

/** A Celery message, protocol 2. It only wakes a worker: the record is the command. */
function wakeUp(task, requestId, queue) {
  const embed = { callbacks: null, errbacks: null, chain: null, chord: null };
  return JSON.stringify({
    body: Buffer.from(JSON.stringify([[requestId], {}, embed])).toString('base64'),
    'content-encoding': 'utf-8',
    'content-type': 'application/json',
    headers: {
      lang: 'js', task, id: requestId, shadow: null, eta: null, expires: null, group: null, group_index: null,
      retries: 0, timelimit: [null, null], root_id: requestId, parent_id: null, argsrepr: '', kwargsrepr: '',
      origin: `gateway${process.pid}@${hostname()}`, ignore_result: true,
    },
    properties: {
      correlation_id: requestId, reply_to: '', delivery_mode: 2, priority: 0, body_encoding: 'base64',
      delivery_tag: randomUUID(), delivery_info: { exchange: '', routing_key: queue },
    },
  });
}

function open(url) {
  if (!url.startsWith('unix://')) return new Redis(url, FAIL_FAST);
  const { pathname, searchParams } = new URL(url);
  const { db = 0, username, password } = Object.fromEntries(searchParams);
  return new Redis({ path: decodeURIComponent(pathname), db: Number(db), username, password, ...FAIL_FAST });
}

/** The command's own deadline, a number or its text; a wrong one is refused later, by whoever decides. */
function ttl(wished) {
  const ms = typeof wished === 'string' && WHOLE.test(wished) ? Number(wished) : wished;
  return Number.isInteger(ms) && ms >= TTL_MS.least && ms <= TTL_MS.most ? ms : TTL_MS.default;
}

function after(one, other) {
  const [a, b] = [one, other].map((id) => id.split('-').map(BigInt));
  return a[0] > b[0] || (a[0] === b[0] && a[1] > b[1]);
}
