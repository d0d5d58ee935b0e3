/** How to reach rqlite, from one URL. What is secret in it is never told. */
import { KumaError } from '../errors.ts'

export interface RqliteAddress {
  /** of its nodes: `http://10.0.0.1:4001` */
  readonly nodes: readonly string[]
  readonly authorization: string | null
}

/** @param url `http://user:pass@host:4001,host2:4001`. @throws KUMA_INVALID_CONFIG, which does not tell the password */
export function parseRqliteUrl(url: string): RqliteAddress {
  const match = /^(https?:\/\/)(?:([^@/]*)@)?([^@/?#]+)\/?$/.exec(url)
  const nodes: string[] = []
  for (const host of match?.[3]?.split(',') ?? []) {
    const node = `${match![1]}${host}`
    if (host === '' || !URL.canParse(node)) throw malformed()
    nodes.push(new URL(node).origin)
  }
  if (match === null) throw malformed()
  const user = match[2]
  try {
    const credentials = user === undefined ? null : decodeURIComponent(user)
    return { nodes, authorization: credentials && `Basic ${Buffer.from(credentials).toString('base64')}` }
  } catch {
    throw malformed()
  }
}

/** In messages. */
export function rqliteAt(nodes: readonly string[]): string {
  return `rqlite at ${nodes.join(', ')}`
}

function malformed(): KumaError<'KUMA_INVALID_CONFIG'> {
  const hint = 'it is http://USER:PASSWORD@HOST:4001,HOST2:4001, or https; what is special in a password is %-encoded'
  return new KumaError('KUMA_INVALID_CONFIG', 'the URL of rqlite cannot be read', { path: null }, { hint })
}
