// examples/server.mjs in a process of its own, on a free port, with its model in a folder of the test's.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { QUIET } from './native.js';
import { root } from './root.js';

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server says
  body: any;
}

export interface Health {
  step: number;
  checkpoint: number | null;
  running: number;
  waiting: number;
}

export class Server {
  /** What it said in lines of JSON, and what it said otherwise. */
  log = '';
  /** The exit code, or the signal that ended it. */
  readonly exit: Promise<number | string>;
  address = '';

  private constructor(readonly process: ChildProcess) {
    process.stdout?.on('data', (data) => {
      this.log += data;
    });
    process.stderr?.on('data', (data) => {
      this.log += data;
    });
    this.exit = once(process, 'close').then(([code, signal]) => code ?? signal);
  }

  /** Starts one that is expected to end by itself. */
  static run(args: string[]): Server {
    const [folder, ...options] = args;
    const place = ['--port', '0', '--checkpoint', path.join(folder, 'model.ckpt')];
    const { SMOOTHLOSS_BACKEND: _, NODE_OPTIONS: __, ...env } = process.env;
    const script = path.join(root, 'examples', 'server.mjs');
    const settings = { silent: true, execArgv: [], env: { ...env, ...QUIET } };
    return new Server(fork(script, [...place, ...options], settings));
  }

  /** `folder` is for the checkpoints; the rest are the server's options. */
  static async start(folder: string, ...options: (string | number)[]): Promise<Server> {
    const server = Server.run([folder, ...options.map(String)]);
    const message = once(server.process, 'message').then(([{ address }]) => address as string);
    const first = await Promise.race([message, server.exit.then((code) => ({ code }))]);
    if (typeof first !== 'string') throw new Error(`the server ended with ${first.code}: ${server.log}`);
    server.address = first;
    return server;
  }

  async get(route: string): Promise<Answer> {
    return answer(await fetch(this.address + route));
  }

  /** A string is sent as it is, all else as JSON. */
  async post(route: string, body: unknown, init: RequestInit = {}): Promise<Answer> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const headers = { 'content-type': 'application/json', ...init.headers };
    return answer(await fetch(this.address + route, { ...init, method: 'POST', headers, body: text }));
  }

  async health(): Promise<Health> {
    return (await this.get('/health')).body;
  }

  /** Asks until it is so. */
  async until(isSo: (health: Health) => boolean): Promise<Health> {
    for (;;) {
      const health = await this.health();
      if (isSo(health)) return health;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** The metrics by their names, which have their labels with them. */
  async metrics(): Promise<Map<string, number>> {
    const { body } = await this.get('/metrics');
    return new Map(
      [...(body as string).matchAll(/^([^# ].*) (.+)$/gm)].map(([, name, value]) => [name, +value]),
    );
  }

  /** Ends it, if it has not ended. */
  end(signal: NodeJS.Signals): Promise<number | string> {
    this.process.kill(signal);
    return this.exit;
  }
}

async function answer(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json');
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}
