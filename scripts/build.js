/**
 * Bundles the library, what runs in a thread or process of its own, and the command line into dist/: one entry for each command, with shared
 * chunks, so that a command loads what it needs and no more. oclif as it comes takes five times as long to start as
 * Node itself; bundled like this, about three.
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
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: {
    index: 'src/index.ts',
    worker: 'src/commit/worker.ts',
    copy: 'src/backup/copy-process.ts',
    remnants: 'src/store/remnants-process.ts',
    sink: 'src/projection/sink-worker.ts',
    query: 'src/projection/query-process.ts',
    main: 'src/cli/main.ts',
    ...Object.fromEntries(commands.map((name) => [`commands/${name}`, `src/commands/${name}.ts`])),
  },
  outdir: 'dist',
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  external: ['better-sqlite3', 'better-sqlite3-node20', 'jiti', 'react-devtools-core'],
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
})
writeFileSync(join(dist, 'THIRD-PARTY-NOTICES.txt'), notices(metafile))

/** The licences of the packages whose code is really in the bundle. */
function notices({ outputs }) {
  const inputs = new Set(Object.values(outputs).flatMap((output) => Object.keys(output.inputs)))
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
