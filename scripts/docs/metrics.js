import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { paragraphs, table } from './markdown.js'

/** Asked of a store that is served. */
export async function metrics() {
  const folder = mkdtempSync(join(tmpdir(), 'kuma-docs-'))
  try {
    const { start } = await import(pathToFileURL(join(import.meta.dirname, '..', '..', 'dist', 'index.js')).href)
    const ctx = await start({ path: join(folder, 'store'), shards: 1, serve: true, projections: [] })
    const text = await scraped(join(ctx.path ?? join(folder, 'store'), 'kuma.sock')).finally(() => ctx.close())
    const helps = [...text.matchAll(/^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)/gm)]
    const row = ([, name, help, type]) => [`\`${name}\``, type, help]
    const isOwn = ([, name]) => name.startsWith('kuma_')
    return paragraphs(
      '# Metrics',
      '`GET /metrics` of a daemon, in the text format of Prometheus.',
      table(['Metric', 'Type', ''], helps.filter(isOwn).map(row)),
      '## Of the process',
      'As prom-client has them for any program on Node.',
      table(['Metric', 'Type', ''], helps.filter((help) => !isOwn(help)).map(row)),
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function scraped(socketPath) {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: '/metrics', agent: false }, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve(text)
    })
      .on('error', reject)
      .end()
  })
}
