/**
 * Writes docs/reference/ from what it is about: `npm run docs [FOLDER]`. Nobody edits those pages; CI compares them.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { commands } from './docs/commands.js'
import { errors } from './docs/errors.js'
import { http } from './docs/http.js'
import { library } from './docs/library.js'
import { metrics } from './docs/metrics.js'
import { settings } from './docs/settings.js'

const folder = process.argv[2] ?? join(import.meta.dirname, '..', 'docs', 'reference')
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
const pages = { commands, errors, http, library, metrics, settings }
for (const [name, page] of Object.entries(pages))
  writeFileSync(join(folder, `${name}.md`), `${(await page()).trim()}\n`)
