import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { BaseCommand, pointOf } from '../cli/base-command.ts'
import { tellMistypedEvents } from '../cli/mistyped.ts'
import { iso, timed } from '../cli/output.ts'
import { type Column, list } from '../cli/table.ts'
import { told } from '../cli/told.ts'
import type { Engine, EngineLogQuery } from '../engine.ts'
import { inOrder, type RecordedEvent } from '../entity/event.ts'

const COLUMNS: readonly Column<RecordedEvent>[] = [
  { head: 'time', text: ({ at }) => iso(at) },
  { head: 'entity', text: ({ entity }) => entity },
  { head: 'version', text: ({ version }) => `v${version}`, align: 'right' },
  { head: 'event', text: ({ type }) => type },
  { head: 'by', text: ({ meta }) => told(meta) },
  { head: 'data', text: ({ data }) => JSON.stringify(data) },
]

export default class Log extends BaseCommand {
  static override summary = 'Show the events of an entity, or of all.'
  static override description =
    'Of one entity in order of its versions; of all by time, then shard and position. A table on a terminal, NDJSON in a pipe.'
  static override examples = [
    '<%= config.bin %> log user_1',
    '<%= config.bin %> log --from yesterday --event SignedUp',
    '<%= config.bin %> log user_1 --reverse -n 5',
    '<%= config.bin %> log --by ann --from "2h ago"',
  ]
  static override args = { entity: Args.string({ description: 'the id (default: all entities)', ignoreStdin: true }) }
  static override flags = {
    from: Flags.string({ description: 'the first point shown', helpValue: 'POINT' }),
    to: Flags.string({ description: 'the last point shown', helpValue: 'POINT' }),
    event: Flags.string({
      description: 'only events of this type; may be repeated',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'TYPE',
    }),
    by: Flags.string({ description: 'only what this one did', helpValue: 'NAME' }),
    ip: Flags.string({ description: 'only what came from there', helpValue: 'ADDRESS' }),
    reason: Flags.string({ description: 'only what was done for this reason', helpValue: 'TEXT' }),
    'correlation-id': Flags.string({ description: 'only with this `correlationId`', helpValue: 'ID' }),
    'causation-id': Flags.string({ description: 'only with this `causationId`', helpValue: 'ID' }),
    limit: Flags.integer({ char: 'n', description: 'at most so many', min: 0, helpValue: 'N' }),
    reverse: Flags.boolean({ description: 'newest first', default: false }),
  }

  protected override readonly needsConfig = false

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Log)
    const { event: types, by, ip, reason, limit, reverse } = flags
    const query: EngineLogQuery = {
      id: args.entity,
      from: pointOf(flags.from),
      to: pointOf(flags.to),
      types,
      by,
      ip,
      reason,
      correlationId: flags['correlation-id'],
      causationId: flags['causation-id'],
      limit,
      reverse,
    }
    const columns = args.entity === undefined ? COLUMNS : COLUMNS.filter(({ head }) => head !== 'entity')
    await this.withEngine(flags, { access: 'read' }, async (engine, { config }) => {
      const notMet = new Set(types)
      const met = ({ type }: RecordedEvent) => void notMet.delete(type)
      await list(lines(engine, query, flags.json, met), columns, flags.json)
      if (limit === undefined) await tellMistypedEvents(notMet, { engine, config, id: args.entity })
    })
  }
}

async function* lines(
  engine: Engine,
  query: EngineLogQuery,
  json: boolean,
  met: (event: RecordedEvent) => void,
): AsyncGenerator<RecordedEvent> {
  for await (const event of engine.log(query)) {
    met(event)
    yield json ? timed(inOrder(event)) : inOrder(event)
  }
}
