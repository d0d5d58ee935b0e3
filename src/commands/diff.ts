import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type { Diff as Difference, Inspected } from '../api.ts'
import { BaseCommand, pointOf } from '../cli/base-command.ts'
import { changes } from '../cli/changes.ts'
import { eventLine } from '../cli/event-line.ts'
import { iso, note, print, visible } from '../cli/output.ts'
import type { Engine } from '../engine.ts'

/** More events than these between two points are only counted. */
const EVENTS_MAX = 20

export default class Diff extends BaseCommand {
  static override summary = 'Show what changed in the state of an entity, between two points or two entities.'
  static override description =
    'Without points: with the last event. Path by path (JSON Pointers), and the events between. With --json a JSON Patch (RFC 6902).'
  static override examples = [
    '<%= config.bin %> diff user_1',
    '<%= config.bin %> diff user_1 --from v1 --to yesterday',
    '<%= config.bin %> diff user_1 user_2',
    '<%= config.bin %> diff user_1 --from 2026-11-01 --json',
  ]
  static override args = {
    entity: Args.string({ description: 'the id', required: true, ignoreStdin: true }),
    other: Args.string({ description: 'another: ENTITY at --from, and OTHER at --to', ignoreStdin: true }),
  }
  static override flags = {
    from: Flags.string({ description: 'default: the version before --to; of two entities: now', helpValue: 'POINT' }),
    to: Flags.string({ description: 'default: now', helpValue: 'POINT' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Diff)
    const request = { id: args.entity, other: args.other, from: pointOf(flags.from), to: pointOf(flags.to) }
    await this.withEngine(flags, { access: 'read' }, async (engine) => {
      const diff = await engine.diff(request)
      if (flags.json) return void (await print(JSON.stringify(diff.patch)))
      await print(`${sideOf(diff.from)} -> ${sideOf(diff.to)}`)
      for (const line of changes(diff)) if (!(await print(line))) return
      if (diff.patch.length === 0) note('nothing is different')
      if (args.other === undefined) await printEvents(engine, diff)
    })
  }
}

function sideOf({ id, version, at }: Inspected): string {
  return visible(version === 0 ? `${id} before its first event` : `${id} v${version} ${iso(at)}`)
}

async function printEvents(engine: Engine, { from, to }: Difference): Promise<void> {
  const count = to.version - from.version
  if (count === 0) return
  await print('')
  const range = { from: { version: from.version + 1 }, to: { version: to.version } }
  if (count > EVENTS_MAX) {
    note(`${count.toLocaleString('en')} events: kuma log ${to.id} --from v${from.version + 1} --to v${to.version}`)
    return
  }
  for await (const event of engine.log({ id: to.id, ...range })) if (!(await print(eventLine(event)))) return
}
