/** A path as a person types it, as a JSON Pointer (RFC 6901): `/address/city`, or `address.city`, `lines[0].sku`. */
export function pointerOf(path: string): string {
  if (path === '' || path.startsWith('/')) return path
  const tokens = path.split(/\.|\[(\d+)\]/).filter((token) => token !== undefined && token !== '')
  return tokens.map((token) => `/${token!.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
