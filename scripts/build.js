/**
 * Bundles into dist/ the library and the command line, one entry for each command with shared chunks, so that a command
 * loads what it needs and no more; and what runs in a thread or process of its own, each in one file, since every file
 * more has to be found and linked. oclif as it comes takes five times as long to start as Node itself; bundled like this,
 * about three and a half.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')

for (const name of existsSync(dist) ? readdirSync(dist) : []) {
  if (name !== 'types') rmSync(join(dist, name), { recursive: true })
}

const commands = readdirSync(join(root, 'src/commands'), { recursive: true })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length))
/** oclif finds its plugins and commands with these; here package.json and oclif.manifest.json tell it. */
const unused = ['lilconfig', 'minimatch', 'tinyglobby']
const options = {
  absWorkingDir: root,
  outdir: 'dist',
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  external: ['better-sqlite3', 'better-sqlite3-node20', 'jiti', 'react-devtools-core'],
  alias: Object.fromEntries(unused.map((name) => [name, './scripts/unused.js'])),
  // React brings two of each otherwise, and takes the slow one
  define: { 'process.env.NODE_ENV': '"production"', 'process.env.DEV': '"false"' },
  // bundled CommonJS still asks for Node's own modules with `require`
  banner: {
    js: "import{createRequire as __kumaRequire}from'node:module';const require=__kumaRequire(import.meta.url);",
  },
  minifySyntax: true,
  minifyWhitespace: true,
  lineLimit: 160, // Node prints the whole source line of an uncaught error
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
}
const builds = await Promise.all([
  build({
    ...options,
    entryPoints: {
      index: 'src/index.ts',
      main: 'src/cli/main.ts',
      ...Object.fromEntries(commands.map((name) => [`commands/${name}`, `src/commands/${name}.ts`])),
    },
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
  }),
  build({
    ...options,
    entryPoints: {
      worker: 'src/commit/worker.ts',
      copy: 'src/backup/copy-process.ts',
      remnants: 'src/store/remnants-process.ts',
      sink: 'src/projection/sink-worker.ts',
      query: 'src/projection/query-process.ts',
    },
  }),
])
writeFileSync(join(dist, 'THIRD-PARTY-NOTICES.txt'), notices(builds))

/** The licences of the packages whose code is really in the bundles. */
function notices(builds) {
  const outputs = builds.flatMap(({ metafile }) => Object.values(metafile.outputs))
  const inputs = new Set(outputs.flatMap((output) => Object.keys(output.inputs)))
  const packages = new Set()
  for (const input of inputs) {
    const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)
    if (match) packages.add(match[1])
  }
  const texts = [...packages].sort().map((path) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'))
    const file = readdirSync(join(root, path)).find((entry) => /^(licen[cs]e|copying)/i.test(entry))
    const text = file === undefined ? `Licence: ${license}` : readFileSync(join(root, path, file), 'utf8').trim()
    return `${name} ${version} (${license})\n\n${text}\n`
  })
  return `The files in this folder contain code of these packages:\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`
}
