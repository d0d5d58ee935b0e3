import { existsSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { BaseCommand, type GlobalFlags } from '../cli/base-command.ts'
import { note, print } from '../cli/output.ts'
import { SAMPLE_CONFIG } from '../cli/sample-config.ts'
import { STORE_NAME } from '../cli/store-path.ts'
import { checkPlace, createStore } from '../store/create.ts'
import { SHARDS_DEFAULT } from '../store/manifest.ts'
import { createMasterKeyFile, masterKeyFrom } from '../store/master-key.ts'

export default class Init extends BaseCommand {
  static override summary = 'Make a new store.'
  static override description = 'The directory must be empty or not exist yet. The number of shards is fixed for ever.'
  static override examples = [
    '<%= config.bin %> init',
    '<%= config.bin %> init ./data --shards 64',
    '<%= config.bin %> init --sample',
    '<%= config.bin %> init --encrypt --master-key-file ~/kuma.key',
  ]
  static override args = {
    dir: Args.string({ description: 'where (default: KUMA_DIR, the config, ./kuma-data)', ignoreStdin: true }),
  }
  static override flags = {
    shards: Flags.integer({
      description: `how many files the entities are spread over: 1 to 999 (default: ${SHARDS_DEFAULT})`,
      min: 1,
      max: 999,
    }),
    encrypt: Flags.boolean({
      description:
        'encrypt what is personal, under a key for each entity. With --master-key-file (made if it is not there) or KUMA_MASTER_KEY',
    }),
    sample: Flags.boolean({ description: 'put a commented kuma.config.ts beside it' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Init)
    const { config } = await this.locate(flags)
    const given = args.dir ?? flags.dir
    const path = given === undefined ? await this.defaultPath(flags) : resolve(given)
    const encryption = flags.encrypt ? 'entity-keys' : config.encryption
    const { masterKeyFile } = config
    checkPlace(path)
    if (encryption !== undefined && masterKeyFile !== undefined && !existsSync(masterKeyFile)) {
      createMasterKeyFile(masterKeyFile)
      note(`wrote a new master key to ${masterKeyFile}: keep a copy elsewhere, nothing can be read without it`)
    }
    const masterKey = encryption && masterKeyFrom(config)
    await createStore(path, { shards: flags.shards ?? config.shards, encryption, masterKey })
    if (flags.sample) writeSample(path)
    await print(
      flags.json ? JSON.stringify({ path, shards: flags.shards ?? config.shards ?? SHARDS_DEFAULT }) : `ok ${path}`,
    )
  }

  /** Not one above: a new store is made here. */
  private async defaultPath(flags: GlobalFlags): Promise<string> {
    const { config } = await this.loadConfig(flags)
    return config.path ?? join(process.cwd(), STORE_NAME)
  }
}

function writeSample(path: string): void {
  const file = join(dirname(path), 'kuma.config.ts')
  if (existsSync(file)) {
    note(`${file} is there already: left as it is`)
    return
  }
  writeFileSync(file, SAMPLE_CONFIG.replace('PATH', `./${relative(dirname(path), path)}`), { flag: 'wx', mode: 0o600 })
  note(`wrote ${file}`)
}
