/** What commands that project have in common. */
import { setTimeout } from 'node:timers/promises'
import type { ProjectionInfo, ReadModels, Rebuilt } from '../engine.ts'
import { stopped } from '../projection/stopped.ts'
import { note } from './output.ts'
import { progressBar } from './progress.ts'

const LOOK_MS = 1_000

/** @throws KUMA_PROJECTION_FAILED, KUMA_PROJECTION_CHANGED */
export function assertNoneFailed(all: readonly ProjectionInfo[]): void {
  const failed = all.filter(({ state }) => state === 'failed')
  const [first] = failed
  if (first === undefined) return
  const others = failed.slice(1).map(({ name }) => name)
  const more = others.length === 0 ? undefined : `${others.join(', ')} stopped too: see \`kuma projections\``
  throw stopped(first.name, first.error!, more)
}

/** Until it is interrupted. What stops, and what goes on again, is told. */
export async function followLag(readModels: ReadModels, signal: AbortSignal): Promise<void> {
  const before = new Map<string, string>()
  while (!signal.aborted) {
    for (const { name, state, error } of await readModels.list()) {
      const now = error === null ? state : `${state}: ${error.message}`
      if (before.has(name) && before.get(name) !== now) note(`${name} ${now}`)
      before.set(name, now)
    }
    await setTimeout(LOOK_MS, undefined, { signal }).catch(() => {})
  }
  signal.throwIfAborted()
}

/** A rebuild, with a bar that shows how far it has come. */
export async function rebuilt(
  readModels: ReadModels,
  name: string,
  options: { readonly dryRun: boolean; readonly signal: AbortSignal },
): Promise<Rebuilt> {
  const bar = progressBar('events')
  let most = 0
  let isDone = false
  const rebuilding = readModels.rebuild(name, options).finally(() => {
    isDone = true
  })
  while (!isDone) {
    await Promise.race([rebuilding, setTimeout(LOOK_MS)])
    const left = (await readModels.list()).find((one) => one.name === name)?.building?.lagEvents
    if (left === undefined) continue
    most = Math.max(most, left)
    if (most > 0) bar.update(most - left, 1 - left / most)
  }
  bar.stop()
  return rebuilding
}
