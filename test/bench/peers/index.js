/** Other stores under the same load, installed when they are asked for. One that is not to be had is left out. */
import { spawnSync } from 'node:child_process'
import { emmett } from './emmett.js'
import { lmdb } from './lmdb.js'
import { postgres } from './postgres.js'

/** Their scenarios. */
export async function peers(folder) {
  install()
  const found = []
  for (const peer of [lmdb, emmett, postgres]) {
    try {
      found.push(...(await peer(folder)))
    } catch (error) {
      process.stderr.write(`${peer.name} is left out: ${error.message}\n`)
    }
  }
  return found
}

function install() {
  const args = ['install', '--no-audit', '--no-fund', '--no-package-lock']
  // stdout is for the results
  const { status } = spawnSync('npm', args, { cwd: import.meta.dirname, stdio: ['ignore', 2, 2] })
  if (status !== 0) process.stderr.write(`npm install of the peers ended with ${status}\n`)
}
