import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { BaseCommand, checkAuthor } from '../cli/base-command.ts'
import { confirm } from '../cli/confirm.ts'
import { DOOMED_COLUMNS, doomed, tellReceipt } from '../cli/deletion.ts'
import { checkWord, usage } from '../cli/event-data.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { onEnding } from '../cli/interrupted.ts'
import { tellLookalikes } from '../cli/lookalikes.ts'
import { isTerminal, note, print } from '../cli/output.ts'
import { list } from '../cli/table.ts'

export default class Delete extends BaseCommand {
  static override summary = 'Erase entities for good: every event, the state, the id, also in backups.'
  static override description =
    'The id has to be typed to confirm, or their number if they are several. Prints the receipt, which names no id and is kept in the store. Cut off at any point, it goes on when the store is opened to write next. Exit code 1 if something could not be reached; the receipt says what to do.'
  static override examples = [
    '<%= config.bin %> delete user_1 --reason "request 4711"',
    '<%= config.bin %> delete --prefix tenant_7/ --dry-run',
    '<%= config.bin %> delete user_1 user_2 --yes > receipt.json',
  ]
  static override args = {
    entities: Args.string({ description: 'the ids', multiple: true, ignoreStdin: true }),
  }
  static override flags = {
    prefix: Flags.string({ description: 'all entities whose ids begin like this' }),
    'dry-run': Flags.boolean({ description: 'only show what would go, and from where' }),
    yes: Flags.boolean({ char: 'y', description: 'do not ask' }),
    as: Flags.string({ description: 'who does this: kept in the receipt', env: 'KUMA_AS', helpValue: 'NAME' }),
    reason: Flags.string({ description: 'why: kept in the receipt, so without the id', helpValue: 'TEXT' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Delete)
    const { prefix } = flags
    const given = args.entities ?? []
    if ((given.length === 0) === (prefix === undefined)) throw usage('give either ids or --prefix')
    if (prefix === '') throw usage('an empty prefix would erase everything', 'to do that, remove the store')
    checkWord(prefix, 'the prefix')
    checkAuthor(flags)
    const going = await this.withEngine(flags, { access: 'read' }, async (engine) => {
      const found = await doomed(engine, given, prefix)
      const ids = found.map(({ entity }) => entity)
      for (const id of ids) await tellLookalikes(engine, id, 'to be erased', ids)
      return found
    })
    if (flags['dry-run']) return void (await list(going, DOOMED_COLUMNS, flags.json))
    if (going.length === 0) return note(`nothing begins with ${JSON.stringify(prefix)}: nothing was erased`)
    if (!flags.yes && !(await this.confirmed(going))) {
      process.exitCode ??= EXIT.error
      return note('nothing was erased')
    }
    const ids = going.map(({ entity }) => entity)
    const off = onEnding((signal) => {
      note('interrupted: an erasure that has begun goes on when the store is opened to write next')
      process.kill(process.pid, signal) // nobody listens any more: it ends
    })
    try {
      await this.withEngine(flags, { access: 'write', committer: 'inline' }, async (engine) => {
        const receipt = await engine.erase(ids, { reason: flags.reason, by: flags.as })
        if (receipt.notReached.length > 0) process.exitCode = EXIT.error
        if (flags.json || !isTerminal()) await print(JSON.stringify(receipt, null, 2))
        else await tellReceipt(engine.path, receipt)
      })
    } finally {
      off()
    }
  }

  private async confirmed(going: readonly { readonly entity: string; readonly events: number }[]): Promise<boolean> {
    const total = going.reduce((sum, one) => sum + one.events, 0)
    const events = `${total.toLocaleString('en')} ${total === 1 ? 'event' : 'events'}`
    if (going.length === 1) return confirm(`erase it and its ${events} for good`, going[0]!.entity)
    return confirm(`erase so many entities and their ${events} for good`, String(going.length))
  }
}
