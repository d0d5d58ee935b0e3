import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { code, paragraphs, table } from './markdown.js'
import { file, membersOf } from './source.js'

const EXAMPLE = `import { defineConfig } from 'kuma'
import { Order } from './src/order.ts'

export default defineConfig({
  path: './data',
  entities: [Order],
  ids: { 'order_*': Order },
})`

export function settings() {
  const api = file('api.ts')
  const rows = (name) =>
    membersOf(api, name).map(({ name, type, about }) => [
      `\`${name}\``,
      `\`${type.replace(' | undefined', '').replaceAll('readonly ', '')}\``,
      about,
    ])
  const heads = ['Setting', 'Type', '']
  return paragraphs(
    '# Settings',
    'What `start(config)` takes, and what `kuma.config.ts` (or `.mts`, `.js`, `.mjs`) exports. Commands look for that file in the working directory and above.',
    code(EXAMPLE, 'ts'),
    table(heads, rows('Config')),
    '## readModels',
    table(heads, rows('ReadModelsConfig')),
    '## daemon',
    table(heads, rows('DaemonBounds')),
    '## Environment',
    table(['Variable', ''], environment()),
  )
}

/** What flags take from it, and what has no flag. */
function environment() {
  const { commands } = JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'oclif.manifest.json'), 'utf8'))
  const found = new Map()
  for (const { flags } of Object.values(commands))
    for (const { name, env, description } of Object.values(flags))
      if (env) found.set(env, `\`--${name}\`: ${description}`)
  found.set('KUMA_MASTER_KEY', 'of an encrypted store: its master key, 64 hexadecimal digits or base64')
  found.set('KUMA_RQLITE_URL', 'the rqlite that read models go to, where the config names none')
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, about]) => [`\`${name}\``, about])
}
