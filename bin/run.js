#!/usr/bin/env node
import { statSync } from 'node:fs'
import module from 'node:module'
import { userInfo } from 'node:os'
import { join } from 'node:path'

// oclif asks for both, and a system that does not know who runs this (a container's --user) has none to tell.
if (!process.env.HOME || !process.env.SHELL) {
  try {
    userInfo()
  } catch {
    process.env.HOME ||= '/'
    process.env.SHELL ||= '/bin/sh'
  }
}
// From Node 22 on it can keep what it has compiled; left to itself it would do so in the folder for all that is
// temporary, where on a machine of many somebody else may have put code under its name. Nor in one of somebody else.
const { HOME, XDG_CACHE_HOME = HOME && join(HOME, '.cache') } = process.env
if (
  module.enableCompileCache &&
  XDG_CACHE_HOME &&
  isOwn(XDG_CACHE_HOME) &&
  isOwn(join(XDG_CACHE_HOME, 'kuma')) !== false
) {
  const umask = process.umask(0o077)
  module.enableCompileCache(join(XDG_CACHE_HOME, 'kuma', 'compiled'))
  process.umask(umask)
}
const { main } = await import('../dist/main.js')

await main(process.argv.slice(2))

/** Undefined if it is not there. */
function isOwn(path) {
  try {
    const stats = statSync(path, { throwIfNoEntry: false })
    return stats && stats.uid === (process.geteuid?.() ?? stats.uid)
  } catch {
    return false
  }
}
