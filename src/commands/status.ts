import { BaseCommand } from '../cli/base-command.ts'
import { megabytes } from '../cli/bytes.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { print } from '../cli/output.ts'
import { Client } from '../daemon/client.ts'
import type { DaemonStatus } from '../daemon/host.ts'
import type { SlowCall } from '../daemon/under-way.ts'
import type { ProjectionInfo } from '../engine.ts'

/** Lines of slow calls. */
const SLOW_TOLD = 5

export default class Status extends BaseCommand {
  static override summary = "Tell how the store's daemon does."
  static override description =
    'Exit code 0 if it is healthy, 1 if a shard takes no more writes, a projection has failed or the package was replaced, 3 if no daemon runs. With --json all of its statistics.'
  static override examples = ['<%= config.bin %> status', '<%= config.bin %> status --json']

  protected override readonly needsConfig = false

  async run(): Promise<void> {
    const { flags } = await this.parse(Status)
    const client = await Client.connect(await this.target(flags))
    const status = await client.call<DaemonStatus>('status').finally(() => client.close())
    if (!status.isHealthy) process.exitCode = EXIT.error
    if (flags.json) await print(JSON.stringify(status))
    else for (const line of lines(status)) await print(line)
  }
}

function lines(status: DaemonStatus): string[] {
  const {
    isConfigStale,
    isPackageReplaced,
    projections,
    pid,
    startedAt,
    address,
    clients,
    subscribers,
    memoryBytes,
    stats,
  } = status
  const { slowCalls = [] } = status
  const { actors, events, eventsPerSecond, readsPerSecond, commitMs, walBytes, poisonedShards, lost = [] } = stats
  const failed = projections.filter(({ state }) => state === 'failed').map(({ name }) => name)
  const troubles = [
    ...(poisonedShards.length === 0
      ? []
      : [`shards ${poisonedShards.join(', ')} take no more writes; stop it, look at the disk and its log, start it`]),
    ...lost.map(
      ({ from, to }) =>
        `events ${from} to ${to} were acknowledged, and are lost unless they were copied or moved elsewhere before`,
    ),
    ...(isPackageReplaced ? ['its package was replaced since it was started: stop and start it'] : []),
    ...(failed.length === 0 ? [] : [`projections ${failed.join(', ')} have stopped: see \`kuma projections\``]),
  ]
  return [
    troubles.length === 0 ? 'healthy' : `unhealthy: ${troubles.join('; ')}`,
    ...(isConfigStale ? ['the config has changed since it was started: stop and start it to use the new one'] : []),
    `process ${pid}, since ${startedAt}${address === null ? '' : `, listening on ${address}`}`,
    `clients ${clients}, subscribers ${subscribers}, memory ${megabytes(memoryBytes)}`,
    `live actors ${actors}, appends ${events} (${Math.round(eventsPerSecond)} a second), reads ${Math.round(readsPerSecond)} a second`,
    ...slowLines(slowCalls),
    ...projections.map(projectionLine),
    `commits p50 ${commitMs.p50} ms, p99 ${commitMs.p99} ms; WAL ${megabytes(walBytes)}`,
  ]
}

/** Calls that have taken more than a second. */
function slowLines(calls: readonly SlowCall[]): string[] {
  const told = calls.slice(0, SLOW_TOLD).map(({ call, client, count, waiting, since }) => {
    const waits = waiting === 0 ? '' : ` (${waiting} in line)`
    return `slow: ${call} of client ${client}, ${count} under way${waits}, since ${since}`
  })
  const more = calls.length - told.length
  return more === 0 ? told : [...told, `slow: ${more} more, which --json tells`]
}

function projectionLine({ name, state, lagEvents, lagSeconds, leftOut = [] }: ProjectionInfo): string {
  const late = lagEvents === 0 ? '' : ` (${lagSeconds.toFixed(1)} s)`
  const lacking = leftOut.length === 1 ? '1 entity' : `${leftOut.length} entities`
  const without = leftOut.length === 0 ? '' : `; without ${lacking} too large for it: see \`kuma projections\``
  return `projection ${name} ${state}, ${lagEvents} events behind${late}${without}`
}
