/**
 * Stacks that reach the line of the caller. What is refused is often refused long after the call: by an actor that had to be
 * loaded, in a batch, by a daemon. No stack leads from there to who called. So a public function lays one on the error that it
 * hands out: from its caller on while it has not returned (`fromCaller`), and later of who awaits it, which V8 finds by the
 * promises (`awaited`). Nothing of it runs while nothing is refused. Who calls without awaiting is not found later on;
 * iterations, which are worth it, note where they were begun (`here`).
 */
import { isKumaError, KumaError } from './errors.ts'

// biome-ignore lint/complexity/noBannedTypes: any function of the public API
export type Caller = Function

/** Where something was called. */
export interface Site {
  readonly stack?: string
}

/** Errors that somebody has been told: does the stack begin where he called? One that many wait for each gets as one of his own. */
const told = new WeakMap<KumaError, boolean>()

/** Gives an error the stack of who called a public function that has not returned yet. */
export function fromCaller(error: unknown, caller: Caller | undefined): unknown {
  if (caller === undefined || !isKumaError(error)) return error
  const own = ownOf(error)
  Error.captureStackTrace(own, caller)
  told.set(own, true)
  return own
}

/** Gives an error the stack of who awaits the async function in whose `catch` this is called. */
export function awaited(error: unknown): unknown {
  if (!isKumaError(error) || told.get(error)) return error
  const site: Site = {}
  Error.captureStackTrace(site, awaited)
  return at(error, site)
}

/** A promise that is rejected with an error, for who waits for something that no async function gives. */
export async function refusal(error: unknown): Promise<never> {
  await null
  await null // by then whoever was given it is known to it
  throw awaited(error)
}

/** The same promise, for who may await it later. */
export function telling<T>(promise: Promise<T>): Promise<T> {
  return promise.catch((error: unknown) => {
    throw awaited(error)
  })
}

/** What a function of the public API does. */
export async function reached<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw awaited(error)
  }
}

/** An async function of the public API. */
export function reaching<A extends readonly unknown[], T>(run: (...args: A) => Promise<T>): (...args: A) => Promise<T> {
  return (...args) => reached(() => run(...args))
}

/** Where the caller is now. @param inner the function that is called by what is public */
export function here(inner: Caller): Site {
  const site: Site = {}
  Error.captureStackTrace(site, inner)
  return site
}

/** An error as it is told to who called there. */
export function at(error: unknown, { stack }: Site): unknown {
  if (!isKumaError(error) || told.get(error) || typeof stack !== 'string') return error
  const frames = stack.slice(stack.indexOf('\n') + 1)
  if (!leadsOn(frames)) return error
  const own = ownOf(error)
  own.stack = `${own.name}: ${own.message}\n${frames}`
  told.set(own, false)
  return own
}

/** Beyond the public function itself, and the machinery of promises. */
function leadsOn(frames: string): boolean {
  const [, ...more] = frames.split('\n')
  return more.some((frame) => !frame.includes('node:internal/'))
}

function ownOf(error: KumaError): KumaError {
  if (!told.has(error)) return error
  const { code, message, details, hint } = error
  const cause = 'cause' in error ? { cause: error.cause } : {}
  return new KumaError(code, message, details, { hint: hint ?? undefined, ...cause })
}
