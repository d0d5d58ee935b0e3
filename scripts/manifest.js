/**
 * Writes oclif.manifest.json, from which the command line knows its commands without loading them. With a path as its
 * argument it writes there instead. Run after `npm run build`.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Plugin } from '@oclif/core/config'

const root = join(import.meta.dirname, '..')
const plugin = new Plugin({
  root,
  type: 'core',
  ignoreManifest: true,
  errorOnManifestCreate: true,
  respectNoCacheDefault: true,
})
await plugin.load()
const { commands, version } = plugin.manifest
const sorted = Object.fromEntries(Object.entries(commands).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(
  process.argv[2] ?? join(root, 'oclif.manifest.json'),
  `${JSON.stringify({ commands: sorted, version }, null, 2)}\n`,
)
