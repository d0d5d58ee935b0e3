import { availableParallelism } from 'node:os'
import * as Flags from '@oclif/core/flags'
import { BaseCommand, type Located } from '../cli/base-command.ts'
import type { CheckInput, CheckNews } from '../cli/check-thread.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { interruptible } from '../cli/interrupted.ts'
import { note, print, visible } from '../cli/output.ts'
import { progressBar } from '../cli/progress.ts'
import type { ShardInfo } from '../engine.ts'
import { fromWire } from '../errors.ts'
import { type CheckedPart, type CheckReport, type Misfit, summed } from '../history/check-models.ts'
import { openEngine } from '../kuma.ts'
import { readManifest } from '../store/manifest.ts'
import { masterKeyFor } from '../store/master-key.ts'
import { startThread } from '../store/thread.ts'

/** For fewer, another thread would take longer to load the models than they take to check. */
const EVENTS_A_THREAD = 20_000

const PROBLEM: { readonly [part in CheckedPart]: string } = {
  type: 'have no definition',
  upcast: 'cannot be made into what they are today',
  schema: 'do not fit their schema',
  evolve: 'cannot be folded',
}

export default class Check extends BaseCommand {
  static override summary = 'Hold everything that is recorded against the models of the config, before you deploy them.'
  static override description =
    'Every event goes through upcast, schema and evolve as they are here. Nothing is written, and it works beside a writer. Exit code 1 if something does not fit.'
  static override examples = ['<%= config.bin %> check', '<%= config.bin %> check --sample 10000 --json']
  static override flags = {
    sample: Flags.integer({ description: 'check about so many entities, spread evenly', min: 1, helpValue: 'N' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Check)
    const located = await this.locate(flags)
    const shards = await shardsOf(located)
    const bar = progressBar('events')
    const report = await interruptible((signal) => {
      const total = shards.reduce((sum, { entities }) => sum + entities, 0)
      const every = Math.max(1, Math.floor(total / (flags.sample ?? Number.POSITIVE_INFINITY)))
      return checked(located, flags.config, shards, every, (events, part) => bar.update(events, part), signal)
    }, null).finally(() => bar.stop())
    if (report === null) return
    if (report.misfits.length > 0) process.exitCode = EXIT.error
    if (flags.json) return void (await print(JSON.stringify(report)))
    for (const misfit of report.misfits) for (const line of lines(misfit)) note(visible(line))
    const counts = `entities ${report.entities.toLocaleString('en')}, events ${report.events.toLocaleString('en')}`
    await print(
      report.misfits.length === 0 ? `ok ${counts}` : `NOT ok: ${report.misfits.length} kinds of misfits, in ${counts}`,
    )
  }
}

async function shardsOf({ config }: Located): Promise<readonly ShardInfo[]> {
  const engine = await openEngine(config, { access: 'read' })
  try {
    return await engine.shards()
  } finally {
    await engine.close()
  }
}

/** In as many threads as there is work and processors for. */
async function checked(
  { path, config }: Located,
  file: string | undefined,
  shards: readonly ShardInfo[],
  every: number,
  told: (events: number, part: number) => void,
  signal: AbortSignal,
): Promise<CheckReport> {
  const total = Math.max(1, shards.reduce((sum, { lastSeq }) => sum + lastSeq, 0) / every)
  const threads = Math.min(availableParallelism(), shards.length, Math.ceil(total / EVENTS_A_THREAD))
  const masterKey = masterKeyFor(path, readManifest(path), config) ?? undefined
  const done = new Array<number>(threads).fill(0)
  const parts = Array.from({ length: threads }, (_, i) => {
    const own = shards.map(({ shard }) => shard).filter((shard) => shard % threads === i)
    return inThread({ cwd: process.cwd(), file, path, masterKey, shards: own, every }, signal, (events) => {
      done[i] = events
      const sum = done.reduce((a, b) => a + b, 0)
      told(sum, Math.min(1, sum / total))
    })
  })
  return summed(await Promise.all(parts))
}

function inThread(input: CheckInput, signal: AbortSignal, told: (events: number) => void): Promise<CheckReport> {
  const thread = startThread('check', input)
  signal.addEventListener('abort', () => void thread.terminate(), { once: true })
  return new Promise((resolve, reject) => {
    thread.on('message', (news: CheckNews) => {
      if ('events' in news) told(news.events)
      else if ('report' in news) resolve(news.report)
      else reject(fromWire(news.error))
    })
    thread.on('error', reject)
    thread.on('exit', () => reject(signal.reason ?? new Error('the thread ended')))
  })
}

function lines({ entityType, event, part, count, first: { entity, version, path, message } }: Misfit): string[] {
  const what = event === null ? `${entityType}: ${count} events` : `${entityType} ${event}: ${count} events`
  return [`${what} ${PROBLEM[part]}`, `  first ${entity} v${version}${path === null ? '' : ` at ${path}`}: ${message}`]
}
