/** What the daemon tells Prometheus: its statistics, and what prom-client knows of any process of Node. */
import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client'
import type { Distribution, Stats } from '../api.ts'
import type { ProjectionInfo } from '../engine.ts'
import type { Host } from './host.ts'
import type { Reply } from './routes.ts'

type Numbers = { readonly [name: string]: readonly [help: string, value: (stats: Stats) => number] }

const COUNTERS: Numbers = {
  kuma_events_total: ['events recorded', ({ events }) => events],
  kuma_reads_total: ['reads of entities as they are', ({ reads }) => reads],
  kuma_commits_total: ['commits made', ({ commitMs }) => commitMs.count],
  kuma_snapshots_total: ['snapshots taken', ({ snapshots }) => snapshots],
}
const GAUGES: Numbers = {
  kuma_uptime_seconds: ['since the engine was started', ({ uptimeMs }) => uptimeMs / 1_000],
  kuma_actors: ['entities held in memory', ({ actors }) => actors],
  kuma_actors_loading: ['entities being brought into memory', ({ loading }) => loading],
  kuma_commands_deciding: ['commands whose decision is awaited', ({ deciding }) => deciding],
  kuma_calls_waiting: ['calls that wait in mailboxes', ({ waiting }) => waiting],
  kuma_appends_pending: ['appends that wait for the disk', ({ appendsPending }) => appendsPending],
  kuma_appends_pending_bytes: ['what they hold in memory', ({ bytesPending }) => bytesPending],
  kuma_poisoned_shards: ['shards that take no more writes', ({ poisonedShards }) => poisonedShards.length],
}
/** prom-client's, which are no counters although their names say so; each is there by type, under a name without `_total`. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']
/** By quantile. */
const SPREADS: {
  readonly [name: string]: readonly [help: string, spread: (stats: Stats) => Distribution, unit: number]
} = {
  kuma_commit_events: ['events in a commit', ({ commitEvents }) => commitEvents, 1],
  kuma_commit_seconds: ['how long a commit took, fsync included', ({ commitMs }) => commitMs, 1e-3],
  kuma_event_loop_delay_seconds: [
    'how late the event loop came to its timers',
    ({ eventLoopDelayMs }) => eventLoopDelayMs,
    1e-3,
  ],
}

type Refresh = (host: Host, stats: Stats) => void

interface Measured {
  readonly registry: Registry
  readonly refresh: readonly Refresh[]
}

/** Kept from one scrape to the next. */
const measured = new WeakMap<Host, Measured>()

export async function metricsOf(host: Host): Promise<Reply> {
  const { registry, refresh } = measured.get(host) ?? measure()
  measured.set(host, { registry, refresh })
  const stats = host.engine.stats()
  for (const each of refresh) each(host, stats)
  return { type: registry.contentType, body: await registry.metrics() }
}

function measure(): Measured {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  for (const name of MISNAMED) registry.removeSingleMetric(name)
  const walBytes = new Gauge({ name: 'kuma_wal_bytes', help: 'of each shard', labelNames: ['shard'], registers })
  const clients = new Gauge({ name: 'kuma_clients', help: 'who is connected', registers })
  const subscribers = new Gauge({ name: 'kuma_subscribers', help: 'who follows the feed', registers })
  const slow = new Gauge({ name: 'kuma_slow_calls', help: 'calls that have taken more than a second', registers })
  const projected = (name: string, help: string, value: (info: ProjectionInfo) => number): Refresh => {
    const gauge = new Gauge({ name, help, labelNames: ['projection'], registers })
    return ({ engine }) => {
      gauge.reset()
      for (const info of engine.projections()) gauge.set({ projection: info.name }, value(info))
    }
  }
  const refresh: Refresh[] = [
    projected('kuma_projection_lag_events', 'events that are not in its table yet', ({ lagEvents }) => lagEvents),
    projected('kuma_projection_lag_seconds', 'since the oldest of them', ({ lagSeconds }) => lagSeconds),
    projected('kuma_projection_failed', '1 if it has stopped', ({ state }) => (state === 'failed' ? 1 : 0)),
    projected(
      'kuma_projection_left_out',
      'entities without rows: their states are too large',
      (info) => info.leftOut.length,
    ),
    (host) => clients.set(host.clients().length),
    (host) => subscribers.set(host.subscribers.size),
    (host) => slow.set(host.calls.slow().reduce((sum, { count }) => sum + count, 0)),
    (_, { walBytesByShard }) => {
      for (const [shard, bytes] of walBytesByShard.entries()) walBytes.set({ shard }, bytes)
    },
  ]
  for (const [name, [help, value]] of Object.entries(COUNTERS)) {
    const counter = new Counter({ name, help, registers })
    refresh.push((_, stats) => {
      counter.reset()
      counter.inc(value(stats))
    })
  }
  for (const [name, [help, value]] of Object.entries(GAUGES)) {
    const gauge = new Gauge({ name, help, registers })
    refresh.push((_, stats) => gauge.set(value(stats)))
  }
  for (const [name, [help, spread, unit]] of Object.entries(SPREADS)) {
    let values: readonly SummaryValue[] = []
    registry.registerMetric(summary(name, help, () => values))
    refresh.push((_, stats) => {
      values = valuesOf(name, spread(stats), unit)
    })
  }
  return { registry, refresh }
}

interface SummaryValue {
  readonly metricName?: string
  readonly labels: { readonly quantile?: number }
  readonly value: number
}

function valuesOf(name: string, { count, mean, p50, p99, max }: Distribution, unit: number): SummaryValue[] {
  const quantiles = [0.5, 0.99, 1].map((quantile, i) => ({ labels: { quantile }, value: [p50, p99, max][i]! * unit }))
  return [
    ...quantiles,
    { metricName: `${name}_sum`, labels: {}, value: mean * count * unit },
    { metricName: `${name}_count`, labels: {}, value: count },
  ]
}

/** Of numbers that are known: prom-client's own summary would want to be told of each event. */
function summary(name: string, help: string, now: () => readonly SummaryValue[]): Metric {
  const get = async () => ({ name, help, type: 'summary', values: now(), aggregator: 'sum' })
  return { name, help, type: 'summary', get } as unknown as Metric
}
