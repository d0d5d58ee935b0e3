import { BaseCommand } from '../cli/base-command.ts'
import { megabytes } from '../cli/bytes.ts'
import { interruptible } from '../cli/interrupted.ts'
import { print } from '../cli/output.ts'
import { progressBar } from '../cli/progress.ts'
import { type Compacted, compact } from '../store/compact.ts'

export default class Compact extends BaseCommand {
  static override summary = 'Write the files anew, without unused space.'
  static override description =
    'Erased rows leave a few bytes each, and files never shrink by themselves. Nobody else can write meanwhile, and it takes as much memory as the largest shard.'
  static override examples = ['<%= config.bin %> compact']

  protected override readonly needsConfig = false

  async run(): Promise<void> {
    const { flags } = await this.parse(Compact)
    const { path, config } = await this.locate(flags)
    const bar = progressBar('shards')
    const done: Compacted[] = []
    await interruptible(async (signal) => {
      for await (const shard of compact(path, { lockTimeoutMs: config.lockTimeoutMs, signal })) {
        bar.update(done.push(shard))
      }
    }, 'the shards before are compacted').finally(() => bar.stop())
    const sum = (of: 'bytesBefore' | 'bytesAfter') => done.reduce((total, shard) => total + shard[of], 0)
    const [bytesBefore, bytesAfter] = [sum('bytesBefore'), sum('bytesAfter')]
    if (flags.json) return void (await print(JSON.stringify({ shards: done.length, bytesBefore, bytesAfter })))
    await print(`ok shards ${done.length}, ${megabytes(bytesBefore)} -> ${megabytes(bytesAfter)}`)
  }
}
