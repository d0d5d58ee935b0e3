import { createReadStream, statSync } from 'node:fs'
import * as Args from '@oclif/core/args'
import { BaseCommand } from '../cli/base-command.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { source } from '../cli/gunzip.ts'
import { type ImportCounts, importLines } from '../cli/importer.ts'
import { note, print, visible } from '../cli/output.ts'
import { progressBar } from '../cli/progress.ts'
import { KumaError } from '../errors.ts'

export default class Import extends BaseCommand {
  static override summary = 'Record events from NDJSON or CloudEvents 1.0, plain or gzipped.'
  static override description =
    'Lines {"entity","type","data","at"?,"meta"?,"requestKey"?,"entityType"?}, or CloudEvents with a subject. A line that cannot be recorded is named; the others are recorded. With request keys an import can be run again and ends with every event there once.'
  static override examples = [
    '<%= config.bin %> import events.ndjson',
    'zcat dump.gz | <%= config.bin %> import -',
    '<%= config.bin %> import flights.ndjson.gz',
  ]
  static override args = {
    file: Args.string({ description: 'the file, or - for stdin', required: true, ignoreStdin: true }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Import)
    const input = args.file === '-' ? process.stdin : open(args.file)
    const stop = new AbortController()
    const onSignal = (signal: NodeJS.Signals) => {
      process.exitCode = signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated
      stop.abort()
    }
    process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
    const bar = progressBar('events')
    const part = partOf(input)
    // each once: a wrong model rejects every line for the same reason
    const hints = new Set<string>()
    try {
      await this.withEngine(flags, { access: 'write', committer: 'worker' }, async (engine, { typeFor }) => {
        let counts: ImportCounts = { imported: 0, duplicates: 0, rejected: 0 }
        try {
          await importLines(engine, source(input), {
            typeFor,
            onRejected: (line, reason, hint) => {
              note(flags.json ? JSON.stringify({ line, reason }) : visible(`line ${line}: ${reason}`))
              if (hint !== null) hints.add(hint)
            },
            onProgress: (now) => {
              counts = now
              bar.update(now.imported + now.duplicates + now.rejected, part())
            },
            signal: stop.signal,
          })
        } finally {
          bar.stop()
          await print(summary(counts, flags.json))
          if (counts.rejected > 0) process.exitCode ??= EXIT.error
        }
      })
      if (!flags.json) for (const hint of hints) note(`  ${visible(hint)}`)
    } finally {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
    }
  }
}

function summary({ imported, duplicates, rejected }: ImportCounts, json: boolean): string {
  if (json) return JSON.stringify({ imported, duplicates, rejected })
  return `imported ${imported}, duplicates ${duplicates}, rejected ${rejected}`
}

/** How much of a file has been read, packed or not: of stdin nobody knows. */
function partOf(input: ReturnType<typeof open> | typeof process.stdin): () => number | undefined {
  if (!('bytesRead' in input && 'path' in input)) return () => undefined
  const bytes = Math.max(1, statSync(input.path).size)
  return () => Math.min(1, input.bytesRead / bytes)
}

/** @throws KUMA_IO */
function open(path: string) {
  try {
    if (!statSync(path).isDirectory()) return createReadStream(path, { highWaterMark: 256 * 1024 })
  } catch (cause) {
    throw new KumaError('KUMA_IO', `cannot read ${path}: ${(cause as Error).message}`, { path }, { cause })
  }
  throw new KumaError('KUMA_IO', `cannot read ${path}: it is a directory`, { path })
}
