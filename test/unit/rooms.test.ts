// The house has floors, and arrows point down only: a file imports from its own room or from a lower floor.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript-5.9'
import { describe, expect, test } from 'vitest'

/** From top to bottom: the folders and files of src. */
const FLOORS = [
  ['commands'],
  ['cli'],
  ['index.ts', 'kuma.ts', 'config.ts', 'context.ts', 'items.ts', 'options.ts', 'statistics.ts'],
  ['daemon'],
  ['privacy'],
  ['backup'],
  ['history', 'projection'],
  ['actor', 'feed'],
  ['commit'],
  ['store'],
  ['engine.ts', 'api.ts'],
  ['entity'],
  ['callers-line.ts', 'errors.ts', 'nearest.ts'],
  // knows nothing of the engine
  ['tui'],
  ['visible.ts'],
]
const DRIVER = /^(?:better-sqlite3(?:-node20)?|node:sqlite)(?:\/|$)/

interface Import {
  readonly specifier: string
  /** Erased by the compiler: such an import loads nothing. */
  readonly isType: boolean
}

/** The imports of each file of src, by its path within src. */
type House = ReadonlyMap<string, readonly Import[]>

const house = read(fileURLToPath(new URL('../../src', import.meta.url)))

test('every file of src stands on a floor', () => {
  expect([...house.keys()].filter((file) => floorOf(file) === -1)).toEqual([])
})

test('arrows point down', () => {
  expect(upwardArrows(house)).toEqual([])
})

test('no file waits for itself to load', () => {
  expect(cycles(house)).toEqual([])
})

test('only src/store imports the SQLite driver', () => {
  expect(importers(house, DRIVER).filter((file) => !file.startsWith('store/'))).toEqual([])
})

test('what an entity is needs no I/O, and an error needs nothing', () => {
  expect(importers(house, /^node:/).filter((file) => file.startsWith('entity/'))).toEqual([])
  expect(house.get('errors.ts')).toEqual([])
})

describe('this test sees', () => {
  test('an arrow that points up, also of a type', () => {
    const wrong = houseOf({
      'entity/id.ts': "import type { Row } from '../store/row.ts'",
      'history/log.ts': "export * from '../commands/log.ts'",
      'store/row.ts': "import { KumaError } from '../errors.ts'",
      'kuma.ts': "const c = await import('./cli/base.ts')",
      'cli/base.ts': "import { start } from '../index.ts'",
    })
    expect(upwardArrows(wrong)).toEqual([
      'entity/id.ts -> store/row.ts',
      'history/log.ts -> commands/log.ts',
      'kuma.ts -> cli/base.ts',
    ])
  })

  test('a cycle, unless types alone make it', () => {
    const wrong = houseOf({
      'store/a.ts': "import { b } from './b.ts'",
      'store/b.ts': "import { type C } from './c.ts'", // verbatimModuleSyntax keeps the import, without the name
      'store/c.ts': "export { a } from './a.ts'",
      'actor/a.ts': "import { b } from './b.ts'",
      'actor/b.ts': "import type { A } from './a.ts'",
    })
    expect(cycles(wrong)).toEqual(['store/a.ts -> store/b.ts -> store/c.ts -> store/a.ts'])
  })

  test('the driver, however it is loaded', () => {
    const wrong = houseOf({
      'history/a.ts': "import Database from 'better-sqlite3'",
      'history/b.ts': "const Database = createRequire(import.meta.url)('better-sqlite3-node20')",
      'history/c.ts': "const sqlite = await import('node:sqlite')",
      'history/d.ts': "import type { Database } from 'better-sqlite3'",
      'history/e.ts': "const PACKAGE = 'better-sqlite3'; createRequire(import.meta.url)(PACKAGE)",
      'history/f.ts': "throw new Error('better-sqlite3 is not installed')",
    })
    expect(importers(wrong, DRIVER)).toEqual(['a', 'b', 'c', 'd', 'e'].map((name) => `history/${name}.ts`))
  })
})

function read(src: string): House {
  const files = existsSync(src) ? readdirSync(src, { recursive: true, encoding: 'utf8' }) : []
  const sources = files
    .filter((file) => file.endsWith('.ts'))
    .map((file) => [file.split(sep).join('/'), readFileSync(join(src, file), 'utf8')])
  return houseOf(Object.fromEntries(sources))
}

function houseOf(sources: Record<string, string>): House {
  return new Map(Object.entries(sources).map(([file, text]) => [file, importsOf(file, text)]))
}

function importsOf(file: string, text: string): Import[] {
  const found: Import[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, node.importClause?.isTypeOnly ?? false)
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly)
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true)
    // import(...), require(...), createRequire(...)(...), new URL(..., import.meta.url)
    else if (ts.isCallExpression(node) && loads(node.expression)) add(node.arguments[0], false)
    else if (ts.isNewExpression(node) && node.arguments?.[1]?.getText(source) === 'import.meta.url')
      add(node.arguments[0], false)
    // a name that is handed to `require` by way of a constant
    else if (ts.isStringLiteralLike(node) && DRIVER.test(node.text)) add(node, false)
    ts.forEachChild(node, visit)
  }
  const add = (specifier: ts.Node | undefined, isType: boolean) => {
    if (specifier && ts.isStringLiteralLike(specifier)) found.push({ specifier: specifier.text, isType })
  }
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ESNext)
  visit(source)
  return found
}

function loads(callee: ts.Expression): boolean {
  if (callee.kind === ts.SyntaxKind.ImportKeyword) return true
  const name = ts.isCallExpression(callee) ? callee.expression : callee
  return (
    ts.isIdentifier(name) && (ts.isCallExpression(callee) ? name.text === 'createRequire' : name.text === 'require')
  )
}

/** The file of src that an import means, if it is one. */
function target(house: House, from: string, { specifier }: Import): string | null {
  if (!specifier.startsWith('.')) return null
  const file = normalize(join(dirname(from), specifier))
    .split(sep)
    .join('/')
  return house.has(file) || floorOf(file) >= 0 ? file : null
}

function floorOf(file: string): number {
  return FLOORS.findIndex((rooms) => rooms.includes(file.split('/')[0]!))
}

function upwardArrows(house: House): string[] {
  const arrows: string[] = []
  for (const [file, imports] of house) {
    for (const one of imports) {
      const to = target(house, file, one)
      if (to !== null && floorOf(to) < floorOf(file)) arrows.push(`${file} -> ${to}`)
    }
  }
  return arrows
}

function cycles(house: House): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) found.push([...path.slice(start), file].join(' -> '))
    if (start >= 0 || done.has(file)) return
    for (const one of house.get(file) ?? []) {
      const to = one.isType ? null : target(house, file, one)
      if (to !== null) visit(to, [...path, file])
    }
    done.add(file)
  }
  for (const file of house.keys()) visit(file, [])
  return found
}

function importers(house: House, specifier: RegExp): string[] {
  return [...house].filter(([, imports]) => imports.some((one) => specifier.test(one.specifier))).map(([file]) => file)
}
