import { openApi } from '../../src/daemon/openapi.ts'
import { ROUTES } from '../../src/daemon/routes.ts'
import { code, paragraphs, table } from './markdown.js'

export function http() {
  const { paths, components } = openApi('', ROUTES)
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => page(`${method.toUpperCase()} ${path}`, operation)),
  )
  const schemas = Object.entries(components.schemas).map(([name, schema]) =>
    paragraphs(`### ${name}`, code(JSON.stringify(schema, null, 2), 'json')),
  )
  return paragraphs(
    '# HTTP',
    'A daemon (`kuma start`) answers HTTP on the Unix socket `kuma.sock` in the store, and over TCP with `--listen`, to those who show the token: `Authorization: Bearer TOKEN`. `GET /openapi.json` is this page for programs. Errors are `{"error":{code,message,hint,details}}`; [which they are](errors.md).',
    ...operations,
    '## Schemas',
    ...schemas,
  )
}

function page(title, { summary, parameters, requestBody, responses, security }) {
  const named = (schema) => schema?.$ref?.replace('#/components/schemas/', '') ?? ''
  const link = (name) => (name === '' ? '' : `[${name}](#${name.toLowerCase()})`)
  const rows = parameters.map(({ name, in: where, description, schema }) => {
    const kind = schema.type === 'array' ? 'texts' : schema.type
    return [`\`${name}\``, where, kind, description]
  })
  const body = requestBody && `Body: ${link(named(Object.values(requestBody.content)[0].schema))}.`
  const answers = Object.entries(responses).map(([status, { description, content }]) => {
    const [[type, { schema }]] = Object.entries(content)
    return [status, description, `${link(named(schema))} as \`${type}\``]
  })
  return paragraphs(
    `## ${title}`,
    summary,
    security?.length === 0 && 'Without a token.',
    rows.length > 0 && table(['Parameter', 'In', 'Kind', ''], rows),
    body,
    table(['Status', '', 'Answer'], answers),
  )
}
