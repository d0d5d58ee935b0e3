import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as Args from '@oclif/core/args'
import { BaseCommand } from '../../cli/base-command.ts'
import { EXIT } from '../../cli/exit-codes.ts'
import { note, print, visible } from '../../cli/output.ts'
import { parseReceipt } from '../../privacy/receipt.ts'
import { verifyReceipt } from '../../privacy/verify-receipt.ts'
import { ioError } from '../../store/directory.ts'

export default class ErasuresVerify extends BaseCommand {
  static override summary = 'Check that what a receipt says is true of the store as it is now.'
  static override description =
    'The hash of the receipt, the record that it names, the seal that covers it, that no row of the erased is left, and the files once more, byte by byte. Exit code 6 if something is wrong.'
  static override examples = [
    '<%= config.bin %> erasures verify receipt.json',
    '<%= config.bin %> erasures verify 3c9b5d5e-7f0e-4f43-8f1c-6a2ab3a0f6b5',
  ]
  static override args = {
    receipt: Args.string({ description: 'its file, or its name in this store', required: true, ignoreStdin: true }),
  }

  protected override readonly needsConfig = false

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ErasuresVerify)
    const { path } = await this.locate(flags)
    const kept = join(path, 'erasures', `${args.receipt}.json`)
    const file = !existsSync(args.receipt) && existsSync(kept) ? kept : args.receipt
    const report = await verifyReceipt(path, parseReceipt(read(file), file))
    for (const problem of report.problems) note(visible(problem))
    if (report.problems.length > 0) process.exitCode = EXIT.corrupt
    if (flags.json) return void (await print(JSON.stringify(report)))
    const pages = report.files.reduce((sum, one) => sum + one.pages, 0).toLocaleString('en')
    const found = `entities ${report.entities}, pages checked ${pages}`
    await print(
      report.problems.length === 0
        ? `verified: ${found}`
        : `NOT verified: problems ${report.problems.length}, ${found}`,
    )
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw ioError(cause, file)
  }
}
