/** How the store does as a whole, in four lines, or fewer where there is no room. */
import type { ChalkInstance } from 'chalk'
import stringWidth from 'string-width'
import type { Rates, Size } from './cockpit.ts'
import type { Look } from './look.ts'
import { bytes, fitted, ms, rate, span, sparkline, whole } from './text.ts'

interface HeaderOptions extends Size {
  readonly name: string
  readonly color: ChalkInstance
}

const SPARK = 20

export function headerLines(look: Look | null, rates: Rates, { name, columns, rows, color }: HeaderOptions): string[] {
  const title = (right: string) => {
    const room = columns - right.length - 1
    return room < 0 ? fitted(right, columns) : `${color.bold(fitted(`kuma top  ${name}`, room))} ${right}`
  }
  if (look === null) return [title('')]
  const entities = look.shards.reduce((sum, shard) => sum + shard.entities, 0)
  const events = look.shards.reduce((sum, shard) => sum + shard.lastSeq, 0)
  if (look.status === null) {
    const stored = `${whole(entities)} entities, ${whole(events)} events in ${look.shards.length} shards`
    return [title('no daemon'), fitted(stored, columns)]
  }
  const { stats, isHealthy, isConfigStale, pid, address, clients, subscribers, memoryBytes } = look.status
  const state = isHealthy ? color.green('healthy') : color.red(trouble(look.status))
  const first = `${state}  up ${span(stats.uptimeMs / 1_000)}  pid ${pid}${address === null ? '' : `  ${address}`}`
  const spark = rates.appends.length === 0 || columns < 60 ? 0 : columns >= 100 ? SPARK : SPARK / 2
  const traffic = [
    `appends ${fitted(`${rate(stats.eventsPerSecond)}/s`, 10)}${sparkline(rates.appends, spark)}`,
    `reads ${fitted(`${rate(stats.readsPerSecond)}/s`, 10)}${sparkline(rates.reads, spark)}`,
  ].join('  ')
  const passive = Math.max(0, entities - stats.actors)
  const actors = `actors ${whole(stats.actors)} live, ${whole(passive)} passive${stats.loading > 0 ? `, ${stats.loading} loading` : ''}`
  const disk = `commit ${rate(stats.commitEvents.p50)} ev  fsync p50 ${ms(stats.commitMs.p50)} p99 ${ms(stats.commitMs.p99)} ms  wal ${bytes(stats.walBytes)}`
  const slowCalls = look.status.slowCalls.reduce((sum, { count }) => sum + count, 0)
  const slow = slowCalls === 0 ? '' : `  slow ${whole(slowCalls)}`
  const process = `loop p99 ${ms(stats.eventLoopDelayMs.p99)} ms  mem ${bytes(memoryBytes)}  clients ${clients}  subs ${subscribers}${slow}`
  const waiting = `waiting ${whole(stats.waiting)}  pending ${whole(stats.appendsPending)}`
  const stale = isConfigStale
    ? [color.yellow(fitted('the config has changed since the daemon was started', columns))]
    : []
  const plain = (text: string) => fitted(text, columns)
  const small = rows < 16
  const lines = [
    fitColored(first, columns),
    plain(traffic),
    ...(columns >= 120
      ? [plain(`${actors}  ${disk}`), plain(`${process}  ${waiting}`)]
      : [plain(actors), plain(disk), plain(process)]),
  ]
  return [title(new Date(look.at).toISOString().slice(11, 19)), ...(small ? lines.slice(0, 2) : lines), ...stale]
}

function trouble({ stats, projections }: NonNullable<Look['status']>): string {
  if (stats.poisonedShards.length > 0) return `shards poisoned: ${stats.poisonedShards.join(' ')}`
  const failed = projections.filter(({ state }) => state === 'failed').map(({ name }) => name)
  return failed.length > 0 ? `projections failed: ${failed.join(' ')}` : 'its package was replaced: start it again'
}

/** A line that begins with a coloured word. */
function fitColored(line: string, columns: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a colour begins with one
  const plain = line.replace(/\u001b\[\d+m/g, '')
  return stringWidth(plain) <= columns ? line : fitted(plain, columns)
}
