import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { BaseCommand, expectVersionFlag, pointOf, requestKeyFlag, writeFlags, writeMeta } from '../cli/base-command.ts'
import { changes } from '../cli/changes.ts'
import { checkWord } from '../cli/event-data.ts'
import { note, print, visible } from '../cli/output.ts'

export default class Revert extends BaseCommand {
  static override summary = 'Bring an earlier state of an entity back, by an event more.'
  static override description =
    'Nothing is removed, and it can be reverted as well. A document gets the event Reverted; of another type its definition says which event, with .revert(...), or it is refused.'
  static override examples = [
    '<%= config.bin %> revert user_1 --to v3 --dry-run',
    '<%= config.bin %> revert user_1 --to yesterday --as ann --reason "wrong import"',
  ]
  static override args = { entity: Args.string({ description: 'the id', required: true, ignoreStdin: true }) }
  static override flags = {
    to: Flags.string({ description: 'the state at this point', helpValue: 'POINT', required: true }),
    'dry-run': Flags.boolean({ description: 'only show what would change' }),
    ...expectVersionFlag,
    ...requestKeyFlag,
    ...writeFlags,
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Revert)
    const { entity: id } = args
    const dryRun = flags['dry-run']
    if (!dryRun) checkWord(id, 'the id')
    checkWord(flags['request-key'], 'the request key')
    const request = {
      id,
      to: pointOf(flags.to)!,
      expectedVersion: flags['expect-version'],
      requestKey: flags['request-key'],
      meta: writeMeta(flags),
      dryRun,
    }
    const access = dryRun ? 'read' : 'write'
    await this.withEngine(flags, { access, committer: 'inline' }, async (engine) => {
      const { version, position, at, events, diff, isExact } = await engine.revert(request)
      if (flags.json) {
        const { patch } = diff
        await print(JSON.stringify(dryRun ? { events, patch } : { entity: id, version, position, at, events, patch }))
      } else {
        if (!dryRun) await print(`ok ${visible(id)} v${version} ${position}`)
        else for (const line of changes(diff)) if (!(await print(line))) return
        if (dryRun) for (const { type, data } of events) note(visible(`would record ${type} ${JSON.stringify(data)}`))
      }
      if (events.length === 0) note(`nothing to record: the state is what it was at ${flags.to}`)
      else if (!isExact)
        note(`the definition brings back less than all: the state is not quite what it was at ${flags.to}`)
    })
  }
}
