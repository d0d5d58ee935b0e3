import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { BaseCommand, type Located } from '../cli/base-command.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { inputOf } from '../cli/import-input.ts'
import { lineKeys } from '../cli/import-keys.ts'
import { Recorded, type Recorder } from '../cli/import-recorder.ts'
import type { ImportCounts, Rejected, Untold } from '../cli/import-run.ts'
import { importFrom } from '../cli/importer.ts'
import { exitCodeFor, onEnding } from '../cli/interrupted.ts'
import { note, print, visible } from '../cli/output.ts'
import { progressBar } from '../cli/progress.ts'
import type { Engine } from '../engine.ts'
import { DOCUMENT } from '../entity/document.ts'
import { definitionsOf } from '../kuma.ts'

const doublesWithout = (keys: string) =>
  `lines have neither request keys nor versions: run again, this import records them once more (with --keys ${keys} it does not)`

export default class Import extends BaseCommand {
  static override summary = 'Record events from NDJSON, CloudEvents 1.0 or exported documents, plain or gzipped.'
  static override description =
    'Lines {"entity","type","data","at"?,"meta"?,"requestKey"?,"entityType"?,"version"?}, or CloudEvents with a subject. A line that cannot be recorded is named; the others are recorded. With request keys (or --keys line) an import can be run again and ends with every event there once. A line with a version, as `log` prints it, is recorded as that version, or compared with what is there. What `export` wrote is recognised: a document is recorded as it was, with its versions and times, where its entity does not exist; a file of documents is checked first.'
  static override examples = [
    '<%= config.bin %> import events.ndjson --dry-run',
    '<%= config.bin %> import events.ndjson --keys line',
    'zcat dump.gz | <%= config.bin %> import - --keys line:dump',
    '<%= config.bin %> import user_1.json',
  ]
  static override args = {
    file: Args.string({ description: 'the file, or - for stdin', required: true, ignoreStdin: true }),
  }
  static override flags = {
    keys: Flags.string({
      description:
        'line: a request key for each line that has none, of the name of the file, the number of the line and what is in it, so that it can be run again; line:NAME where the name changes, and for stdin',
      helpValue: 'line[:NAME]',
    }),
    renumber: Flags.boolean({
      description: 'lines get the versions that come next, whatever they say: for a log that was filtered',
    }),
    'dry-run': Flags.boolean({
      description: 'check every line against the models of the config here and what is recorded, and record nothing',
    }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Import)
    const keyOf = flags.keys === undefined ? undefined : lineKeys(flags.keys, args.file)
    const isDry = flags['dry-run']
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
    const tell = (json: object, text: string) => note(flags.json ? JSON.stringify(json) : visible(text))
    try {
      const committer = isDry ? 'inline' : 'worker'
      await this.withEngine(flags, { access: 'write', committer }, async (engine, located) => {
        let counts: ImportCounts = { imported: 0, duplicates: 0, rejected: 0 }
        try {
          const untold = await importFrom(await recorderOf(engine, located, isDry), input, {
            typeFor: (id) => located.typeFor(id) ?? DOCUMENT,
            renumber: flags.renumber,
            keyOf,
            onUnkeyed: () => {
              const doubles = doublesWithout(args.file === '-' ? 'line:NAME' : 'line')
              tell({ note: doubles }, doubles)
            },
            onRejected: (what, reason, hint) => {
              tell({ ...what, reason }, `${nameOf(what)}: ${reason}`)
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
          if (untold.untold > 0) tell(untold, toldOf(untold))
        } finally {
          checking.stop()
          bar.stop()
          await print(summary(counts, flags.json, isDry))
          if (counts.rejected > 0) process.exitCode ??= EXIT.error
        }
      })
      if (!flags.json) for (const hint of hints) note(`  ${visible(hint)}`)
    } finally {
      off()
    }
  }
}

async function recorderOf(engine: Engine, { config }: Located, isDry: boolean): Promise<Recorder> {
  if (!isDry) return new Recorded(engine)
  const { Rehearsal } = await import('../cli/import-rehearsal.ts')
  return new Rehearsal(engine, definitionsOf(config))
}

function summary({ imported, duplicates, rejected }: ImportCounts, json: boolean, isDry: boolean): string {
  if (json) return JSON.stringify({ imported, duplicates, rejected, ...(isDry ? { dryRun: true } : {}) })
  const counts = `duplicates ${duplicates}, rejected ${rejected}`
  return isDry ? `would import ${imported}, ${counts}: nothing was recorded` : `imported ${imported}, ${counts}`
}

function toldOf({ untold, codes }: Untold): string {
  const counts = Object.entries(codes).map(([code, events]) => `${code} ${events.toLocaleString('en')}`)
  return `${untold.toLocaleString('en')} more are not shown: in all ${counts.join(', ')}`
}

function nameOf(what: Rejected): string {
  return 'line' in what ? `line ${what.line}` : `document ${what.document}, ${what.entity} from v${what.version} on`
}
