/**
 * Loads the configs that are found in some folders as another user, and prints a line of JSON for each. The group is the
 * user's own.
 */
import { loadConfig } from '../../src/config.ts'

const [uid, ...folders] = process.argv.slice(2)
process.setgroups!([])
process.setgid!(Number(uid))
process.setuid!(Number(uid))
for (const cwd of folders) {
  const loaded = await loadConfig({ cwd }).catch(({ code, message, hint }) => ({ code, message, hint }))
  console.log(JSON.stringify('config' in loaded ? { file: loaded.file, isStale: loaded.isStale() } : loaded))
}
