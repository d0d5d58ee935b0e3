/**
 * Bundles into dist/ the library and the command line, one entry for each command, so that a command loads what it needs
 * and no more; what most of them need is in two files, one of the store and one of the command line, since every file more
 * has to be found and linked. What runs in a thread or process of its own is in one file. oclif as it comes takes five
 * times as long to start as Node itself; bundled like this, about three times.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { transform } from 'esbuild'
import { rolldown } from 'rolldown'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')
/** as many entries that load a module make it one of those that most of them need */
const MOST = 20

for (const name of existsSync(dist) ? readdirSync(dist) : []) {
  if (name !== 'types') rmSync(join(dist, name), { recursive: true })
}

const commands = readdirSync(join(root, 'src/commands'), { recursive: true })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length))
const script = (name) => join(root, 'scripts', name)
/** oclif finds its plugins and commands with these, which package.json and oclif.manifest.json tell; and asks after WSL. */
const unused = ['lilconfig', 'minimatch', 'tinyglobby', 'wsl-utils']
const options = {
  cwd: root,
  platform: 'node',
  external: ['better-sqlite3', 'better-sqlite3-node20', 'jiti', 'react-devtools-core'],
  resolve: {
    alias: {
      ...Object.fromEntries(unused.map((name) => [name, script('unused.js')])),
      'cli-spinners': script('spinners.js'),
    },
  },
  // React brings two of each otherwise, and takes the slow one
  transform: { target: 'node20', define: { 'process.env.NODE_ENV': '"production"', 'process.env.DEV': '"false"' } },
  checks: { ineffectiveDynamicImport: false }, // what has to wait for some is loaded at once by others
  plugins: [{ name: 'smaller', renderChunk: async (code) => smaller(code) }],
}
const threads = {
  worker: 'src/commit/worker.ts',
  copy: 'src/backup/copy-process.ts',
  remnants: 'src/store/remnants-process.ts',
  sink: 'src/projection/sink-worker.ts',
  query: 'src/projection/query-process.ts',
}
const written = await Promise.all([
  bundle(
    {
      index: 'src/index.ts',
      main: 'src/cli/main.ts',
      check: 'src/cli/check-thread.ts', // with the definitions of what it loads
      ...Object.fromEntries(commands.map((name) => [`commands/${name}`, `src/commands/${name}.ts`])),
    },
    {
      groups: [
        { name: 'kuma', test: /\/src\/(?!cli|commands|daemon|tui)|\/(rfc6902|xxhashjs|cuint)\//, minShareCount: MOST },
        { name: 'cli', test: /\/src\/cli\/|\/node_modules\//, minShareCount: MOST },
      ],
    },
  ),
  ...Object.entries(threads).map(([name, file]) => bundle({ [name]: file }, false)),
])
writeFileSync(join(dist, 'THIRD-PARTY-NOTICES.txt'), notices(written.flat()))

/** @returns the files that it is made of */
async function bundle(input, codeSplitting) {
  const made = await rolldown({ ...options, input })
  const { output } = await made.write({
    dir: dist,
    chunkFileNames: 'chunks/[name]-[hash].js',
    codeSplitting,
    minify: false,
  })
  return output.flatMap((chunk) => chunk.moduleIds ?? [])
}

/** Names stay, for what stacks tell; lines are short, since Node prints the whole one of an uncaught error. */
async function smaller(code) {
  const minified = await transform(code, {
    format: 'esm',
    platform: 'node',
    target: 'node20',
    minifySyntax: true,
    minifyWhitespace: true,
    lineLimit: 160,
    legalComments: 'none',
  })
  return { code: minified.code }
}

/** The licences of the packages whose code is really in the bundles. */
function notices(files) {
  const found = files.map((file) => /^(?:\0.*)?(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1])
  const packages = new Set(found.filter((path) => path !== undefined))
  const texts = [...packages].sort().map((path) => {
    const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'))
    const file = readdirSync(path).find((entry) => /^(licen[cs]e|copying)/i.test(entry))
    const text = file === undefined ? `Licence: ${license}` : readFileSync(join(path, file), 'utf8').trim()
    return `${name} ${version} (${license})\n\n${text}\n`
  })
  return `The files in this folder contain code of these packages:\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`
}
