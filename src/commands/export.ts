import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { BaseCommand } from '../cli/base-command.ts'
import { checkWord, usage } from '../cli/event-data.ts'
import { type ExportFormat, exportMany, exportOne, FORMATS, sourceOf } from '../cli/exporter.ts'
import { interruptible } from '../cli/interrupted.ts'
import { tellLookalikes } from '../cli/lookalikes.ts'
import { tellMistypedTypes } from '../cli/mistyped.ts'
import { isTerminal, note, print } from '../cli/output.ts'
import { progressBar } from '../cli/progress.ts'

export default class Export extends BaseCommand {
  static override summary = 'Write everything about an entity, or about many, to stdout.'
  static override description =
    'One JSON document for each entity, with its state, every event, and a SHA-256; or its events as NDJSON or CloudEvents 1.0. `import` takes all of them.'
  static override examples = [
    '<%= config.bin %> export user_1 > user_1.json',
    '<%= config.bin %> export --prefix user_ --format cloudevents | gzip > users.ndjson.gz',
    '<%= config.bin %> export --type account > accounts.json',
  ]
  static override args = { entity: Args.string({ description: 'the id', ignoreStdin: true }) }
  static override flags = {
    prefix: Flags.string({ description: 'all entities whose ids begin like this' }),
    type: Flags.string({ description: 'all entities of this type' }),
    format: Flags.string({ description: 'what is written', options: [...FORMATS], default: 'json' }),
  }

  protected override readonly needsConfig = false

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Export)
    const { entity } = args
    const { prefix, type } = flags
    const filtered = prefix !== undefined || type !== undefined
    if (filtered === (entity !== undefined)) throw usage('give either ENTITY, or --prefix, --type or both')
    checkWord(prefix, 'the prefix')
    const bar = isTerminal() ? null : progressBar('events') // on a terminal the data itself shows it
    let [entities, events] = [0, 0]
    const unknownTypes = new Set<string>()
    const write = (signal: AbortSignal) =>
      this.withEngine(flags, { access: 'read' }, async (engine, { config }) => {
        const options = { format: flags.format as ExportFormat, source: sourceOf(engine), signal }
        const pieces =
          entity === undefined ? exportMany(engine, { prefix, type }, options) : exportOne(engine, entity, options)
        for await (const piece of pieces) {
          if (!(await print(piece.text))) break
          entities += piece.entities
          events += piece.events
          if (piece.unknownType !== undefined) unknownTypes.add(piece.unknownType)
          bar?.update(events)
        }
        if (entity !== undefined) await tellLookalikes(engine, entity, 'exported')
        if (entities === 0 && type !== undefined) await tellMistypedTypes([type], { engine, config })
        return true
      })
    const written = await interruptible(write, 'what was written is not whole').finally(() => bar?.stop())
    for (const name of unknownTypes)
      note(`the entity type ${JSON.stringify(name)} is not defined here: the events are there, the state is null`)
    if (written !== null && filtered)
      note(flags.json ? JSON.stringify({ entities, events }) : `exported ${entities} entities, ${events} events`)
  }
}
