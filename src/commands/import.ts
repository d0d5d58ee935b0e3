import * as Args from '@oclif/core/args'
import { BaseCommand } from '../cli/base-command.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { inputOf } from '../cli/import-input.ts'
import type { ImportCounts, Rejected } from '../cli/import-run.ts'
import { importFrom } from '../cli/importer.ts'
import { exitCodeFor, onEnding } from '../cli/interrupted.ts'
import { note, print, visible } from '../cli/output.ts'
import { progressBar } from '../cli/progress.ts'

export default class Import extends BaseCommand {
  static override summary = 'Record events from NDJSON, CloudEvents 1.0 or exported documents, plain or gzipped.'
  static override description =
    'Lines {"entity","type","data","at"?,"meta"?,"requestKey"?,"entityType"?}, or CloudEvents with a subject. A line that cannot be recorded is named; the others are recorded. With request keys an import can be run again and ends with every event there once. What `export` wrote is recognised: a document is recorded as it was, with its versions and times, where its entity does not exist; a file of documents is checked first.'
  static override examples = [
    '<%= config.bin %> import events.ndjson',
    'zcat dump.gz | <%= config.bin %> import -',
    '<%= config.bin %> import user_1.json',
  ]
  static override args = {
    file: Args.string({ description: 'the file, or - for stdin', required: true, ignoreStdin: true }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Import)
    const input = inputOf(args.file)
    const stop = new AbortController()
    const off = onEnding((signal) => {
      process.exitCode = exitCodeFor(signal)
      stop.abort()
    })
    const bar = progressBar('events')
    const checking = progressBar('events checked')
    // each once: a wrong model rejects every line for the same reason
    const hints = new Set<string>()
    try {
      await this.withEngine(flags, { access: 'write', committer: 'worker' }, async (engine, { typeFor }) => {
        let counts: ImportCounts = { imported: 0, duplicates: 0, rejected: 0 }
        try {
          await importFrom(engine, input, {
            typeFor,
            onRejected: (what, reason, hint) => {
              note(flags.json ? JSON.stringify({ ...what, reason }) : visible(`${nameOf(what)}: ${reason}`))
              if (hint !== null) hints.add(hint)
            },
            onChecked: (events) => checking.update(events, input.part()),
            onProgress: (now) => {
              checking.stop()
              counts = now
              bar.update(now.imported + now.duplicates + now.rejected, input.part())
            },
            signal: stop.signal,
          })
        } finally {
          checking.stop()
          bar.stop()
          await print(summary(counts, flags.json))
          if (counts.rejected > 0) process.exitCode ??= EXIT.error
        }
      })
      if (!flags.json) for (const hint of hints) note(`  ${visible(hint)}`)
    } finally {
      off()
    }
  }
}

function summary({ imported, duplicates, rejected }: ImportCounts, json: boolean): string {
  if (json) return JSON.stringify({ imported, duplicates, rejected })
  return `imported ${imported}, duplicates ${duplicates}, rejected ${rejected}`
}

function nameOf(what: Rejected): string {
  return 'line' in what ? `line ${what.line}` : `document ${what.document}, ${what.entity} from v${what.version} on`
}
