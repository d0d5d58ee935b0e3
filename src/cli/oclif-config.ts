/**
 * What oclif knows of this command line, from package.json and oclif.manifest.json. Its own way to read them sorts the
 * commands by locale, and the first comparison of that kind loads the tables of ICU, which takes a third of the time in
 * which Node starts; the manifest has them in order.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Command } from '@oclif/core/command'
import { Config, Plugin } from '@oclif/core/config'

/** @param root the folder of package.json */
export async function oclifConfig(root: string): Promise<Config> {
  const plugin = new Commands({ root, isRoot: true })
  const plugins = new Map([[plugin.name, plugin]])
  return Config.load({ root, plugins, enablePerf: false, userPlugins: false, devPlugins: false })
}

class Commands extends Plugin {
  override readonly hasManifest = true
  override readonly hooks = {}
  override readonly isRoot = true
  override readonly moduleType = 'module'
  override readonly type = 'core'
  override readonly valid = true

  constructor(options: Plugin['options']) {
    super(options)
    this.root = options.root
    this.pjson = this.read('package.json')
    this.manifest = this.read('oclif.manifest.json')
    this.name = this.alias = this.pjson.name
    this.version = this.pjson.version
    const { commands } = this.manifest
    this.commandIDs = Object.keys(commands)
    this.commands = Object.values(commands).map((cached) => ({ ...cached, load: () => this.findCommand(cached.id) }))
  }

  private read(name: string) {
    return JSON.parse(readFileSync(join(this.root, name), 'utf8'))
  }

  override async findCommand(id: string): Promise<Command.Class> {
    const file = join(this.root, 'dist', 'commands', `${join(...id.split(':'))}.js`)
    const { default: command } = await import(pathToFileURL(file).href)
    return Object.assign(command, { id, plugin: this })
  }
}
