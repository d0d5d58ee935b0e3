/** The source of the library, as the compiler reads it: what a type says of itself. */
import { join } from 'node:path'
import ts from 'typescript-5.9'

const src = join(import.meta.dirname, '..', '..', 'src')

export function program(...files) {
  const options = {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    strict: true,
    allowImportingTsExtensions: true,
    noEmit: true,
  }
  const made = ts.createProgram(
    files.map((file) => join(src, file)),
    options,
  )
  made.getTypeChecker() // which tells every node its parent
  return made
}

export function file(name, from = program(name)) {
  return from.getSourceFile(join(src, name))
}

/** @returns the members of an interface or an object: their name, type or value, and what is said of them */
export function membersOf(source, name) {
  const members = []
  source.forEachChild((node) => {
    if (ts.isInterfaceDeclaration(node) && node.name.text === name)
      for (const member of node.members) members.push(told(member, member.type?.getText()))
    if (!ts.isVariableStatement(node)) return
    for (const { name: own, initializer } of node.declarationList.declarations) {
      if (own.getText() !== name) continue
      const object = ts.isAsExpression(initializer) ? initializer.expression : initializer
      for (const member of object.properties) members.push(told(member, member.initializer.getText()))
    }
  })
  if (members.length === 0) throw new Error(`${source.fileName} has no ${name}`)
  return members
}

function told(node, type) {
  return { name: node.name.getText(), type, about: commentOf(node) }
}

/** What its comment says, on one line. */
export function commentOf(node) {
  const text = ts
    .getJSDocCommentsAndTags(node)
    .map(({ comment }) => (typeof comment === 'string' ? comment : ts.getTextOfJSDocComment(comment)))
  return text
    .filter((part) => part)
    .join(' ')
    .replace(/\s*\n\s*/g, ' ')
}
