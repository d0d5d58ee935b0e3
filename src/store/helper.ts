/**
 * A helper is a process of its own: for work that must be ended at any moment, or must not touch this process's files.
 * The two speak over fd 3, a pipe of which nobody else knows, in lines of JSON:
 *
 *     question    any value
 *     answers     {"answer": value}, as many as there are
 *     the end     {"done": true}, or {"error": ...} as errors travel; then the next question may come
 *
 * Not over stdout: modules that NODE_OPTIONS names print there. What they print goes to our stderr, and stdin is empty, so
 * that none of them waits for us.
 *
 * Over fd 4, another pipe, nothing is said: it ends when whoever started the helper is gone, also by SIGKILL. A thread of the
 * helper waits for that in a read, and kills the process: at once, while the main thread may be in the middle of a sort of
 * SQLite's, where no signal is handled and nothing else comes to run.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readSync, writeSync } from 'node:fs'
import type { Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { fromWire, isKumaError, type KumaError, toWire, type WireError } from '../errors.ts'
import { bundled } from './bundled.ts'
import { lines, splitter } from './lines.ts'
import { withoutMasterKey } from './master-key.ts'

const PIPE = 3
const LIFELINE = 4
const READ_BYTES = 64 * 1024
const SHOWN_CHARS = 80

type Said = { readonly answer: unknown } | { readonly done: true } | { readonly error: WireError }

export class Helper {
  private readonly child: ChildProcess
  private readonly pipe: Socket | undefined
  private readonly lines: AsyncGenerator<string>
  /** how, in words */
  private readonly ended: Promise<string>
  /** Can it be asked (again)? */
  isAlive = true

  /**
   * @param name of an entry in scripts/build.js, which calls `answerQuestions`
   * @param failed makes the error of a helper that ended, or that says what is no answer
   */
  constructor(
    name: string,
    private readonly failed: (why: string) => KumaError,
  ) {
    try {
      this.child = spawn(process.execPath, [bundled(name)], {
        stdio: ['ignore', 2, 2, 'pipe', 'pipe'],
        env: withoutMasterKey(),
      })
    } catch (cause) {
      throw isKumaError(cause) ? cause : failed((cause as Error).message)
    }
    // where no process can be started there may be no pipe either
    this.pipe = this.child.stdio?.[PIPE] as Socket | undefined
    this.pipe?.on('error', () => {}) // its lines end
    const lifeline = this.child.stdio?.[LIFELINE] as Socket | undefined
    lifeline?.on('error', () => {}).unref() // of the helper, not of this program
    this.lines = lines(this.pipe ?? [])
    this.ended = new Promise((resolve) => {
      const end = (how: string) => {
        this.isAlive = false
        resolve(how)
      }
      this.child.once('error', (error) => end(error.message))
      this.child.once('exit', (code, signal) =>
        end(signal === null ? `it ended with exit code ${code}` : `${signal} ended it`),
      )
    })
  }

  get pid(): number | undefined {
    return this.child.pid
  }

  /** One question at a time. Who stops to listen ends it. @throws what it threw; `failed` */
  async *ask<A>(question: unknown): AsyncGenerator<A> {
    this.hold(true)
    let isDone = false
    try {
      this.pipe?.write(`${JSON.stringify(question)}\n`)
      for (;;) {
        const said = await this.next()
        isDone = !('answer' in said)
        if ('error' in said) throw fromWire(said.error)
        if ('done' in said) return
        yield said.answer as A
      }
    } finally {
      if (!isDone) this.kill()
      this.hold(false)
    }
  }

  private async next(): Promise<Said> {
    const line = await this.line()
    if (line === undefined) {
      this.kill()
      throw this.failed(await this.ended)
    }
    const said = parsed(line)
    if (said !== null) return said
    throw this.failed(`it said ${JSON.stringify(line.slice(0, SHOWN_CHARS))}, which is no answer`)
  }

  /** Undefined when there are no more, also when the pipe broke. */
  private async line(): Promise<string | undefined> {
    try {
      return (await this.lines.next()).value
    } catch {
      return undefined
    }
  }

  /** Does it keep the program alive? One that waits for a question does not. */
  private hold(isHeld: boolean): void {
    for (const handle of [this.child, this.pipe]) isHeld ? handle?.ref() : handle?.unref()
  }

  kill(): void {
    this.isAlive = false
    this.child.kill('SIGKILL')
  }

  /** Resolves when it has ended. */
  async close(): Promise<void> {
    this.kill()
    this.child.ref()
    await this.ended
  }
}

function parsed(line: string): Said | null {
  try {
    const said = JSON.parse(line) as Said | null
    const isSaid = typeof said === 'object' && said !== null && ('answer' in said || 'done' in said || 'error' in said)
    return isSaid ? said : null
  } catch {
    return null
  }
}

/** The helper's side: for as long as there is somebody who asks. The pipe is a blocking one here. */
export async function answerQuestions<Q, A>(
  answersTo: (question: Q) => Iterable<A> | AsyncIterable<A>,
): Promise<never> {
  endWithParent()
  for (const line of questions()) {
    try {
      for await (const answer of answersTo(JSON.parse(line) as Q)) say({ answer })
      say({ done: true })
    } catch (error) {
      say({ error: toWire(error) })
    }
  }
  process.exit() // also where a module of NODE_OPTIONS has something to wait for
}

/** What the thread runs: by itself, without the modules that NODE_OPTIONS names. */
const WAIT = `try { require('node:fs').readSync(${LIFELINE}, Buffer.alloc(1)) } finally { process.kill(process.pid, 'SIGKILL') }`

function endWithParent(): void {
  new Worker(WAIT, { eval: true, env: {}, execArgv: [] })
  // a process that exits waits for its threads, and this one is in a read that does not end
  process.on('exit', () => process.kill(process.pid, 'SIGKILL'))
}

function* questions(): Generator<string> {
  const split = splitter()
  const buffer = Buffer.alloc(READ_BYTES)
  for (;;) {
    const bytes = readSync(PIPE, buffer)
    if (bytes === 0) return
    yield* split(buffer.subarray(0, bytes))
  }
}

function say(said: Said): void {
  const bytes = Buffer.from(`${JSON.stringify(said)}\n`)
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(PIPE, bytes, at)
  } catch {
    process.exit() // nobody listens any more
  }
}
