import ts from 'typescript-5.9'
import { code, paragraphs } from './markdown.js'
import { file, program } from './source.js'

/** Every name that the package exports, as it is declared, with what is said of it there. */
export function library() {
  const all = program('index.ts')
  const checker = all.getTypeChecker()
  const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(file('index.ts', all)))
  const symbols = exported.map((symbol) =>
    symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol,
  )
  const [values, types] = [symbols.filter(isValue), symbols.filter((symbol) => !isValue(symbol))]
  return paragraphs(
    '# Library',
    "What `import ... from 'kuma'` gives: first what can be called, then the types. Times are milliseconds since 1970, and errors are [KumaErrors](errors.md), whose codes stand after `@throws`.",
    '## Functions and values',
    ...values.map((symbol) => entry(symbol, checker)),
    '## Types',
    ...types.map((symbol) => entry(symbol, checker)),
  )
}

const isValue = (symbol) => (symbol.flags & ts.SymbolFlags.Value) !== 0

function entry(symbol, checker) {
  const declarations = symbol.declarations.map((node) => declared(node, checker)).filter((text) => text !== null)
  return paragraphs(`### ${symbol.name}`, code([...new Set(declarations)].join('\n\n'), 'ts'))
}

/** Without bodies, and without what only the inside sees. */
function declared(node, checker) {
  const comment = ts
    .getJSDocCommentsAndTags(node)
    .filter(ts.isJSDoc)
    .map((doc) => `${doc.getText()}\n`)
    .join('')
  if (ts.isFunctionDeclaration(node)) {
    const isImplementation = node.body !== undefined && checker.getSymbolAtLocation(node.name).declarations.length > 1
    if (isImplementation) return null
    const end = node.body === undefined ? node.getEnd() : node.body.getStart()
    return comment + withoutNotes(node.getSourceFile().text.slice(node.getStart(), end).trim())
  }
  if (ts.isVariableDeclaration(node)) {
    const text = ts
      .getJSDocCommentsAndTags(node)
      .map((doc) => `${doc.getText()}\n`)
      .join('')
    const type = checker.typeToString(checker.getTypeAtLocation(node), node, ts.TypeFormatFlags.NoTruncation)
    return `${text}export const ${node.name.getText()}: ${node.type?.getText() ?? type}`
  }
  if (ts.isClassDeclaration(node)) return comment + classText(node)
  return comment + withoutNotes(node.getText())
}

/** Without what is said to the linter. */
function withoutNotes(text) {
  return text.replace(/^\s*\/\/ biome-ignore.*\n/gm, '')
}

function classText(node) {
  const source = node.getSourceFile().text
  const head = source.slice(node.getStart(), node.members.pos).trim()
  const members = node.members
    .filter(({ modifiers = [] }) => !modifiers.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword))
    .map((member) => `  ${source.slice(member.getStart(), member.body?.getStart() ?? member.getEnd()).trim()}`)
  return `${head}\n${members.join('\n')}\n}`
}
