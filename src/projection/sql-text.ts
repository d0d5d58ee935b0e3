/** SQL as a sequence of tokens: as much of it as is needed to tell names, question marks and ends from what is quoted. */

/** What is quoted or commented, as a whole; then names; then anything else, character by character. */
const TOKEN =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\/|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|[\s\S]/g

/** With each token as `change` gives it back. */
export function mapTokens(sql: string, change: (token: string) => string): string {
  return sql.replace(TOKEN, change)
}

/** With another table instead of the one of this name, quoted or not. */
export function renamed(sql: string, from: string, to: string): string {
  const [plain, quoted] = [from.toLowerCase(), `"${from.toLowerCase()}"`]
  return mapTokens(sql, (token) => ([plain, quoted].includes(token.toLowerCase()) ? to : token))
}

/** With another text for some of its question marks. @param placeholder by the mark's place, from 0 on */
export function withPlaceholders(sql: string, placeholder: (index: number) => string): string {
  let index = 0
  return mapTokens(sql, (token) => (token === '?' ? placeholder(index++) : token))
}

/** Without what may stand behind a statement: white space, comments, semicolons. */
export function withoutEnd(sql: string): string {
  const tokens = sql.match(TOKEN) ?? []
  return tokens.slice(0, tokens.findLastIndex((token) => !/^(?:[\s;]|--|\/\*)/.test(token)) + 1).join('')
}
