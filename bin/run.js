#!/usr/bin/env node
import { existsSync } from 'node:fs'
import module from 'node:module'
import { join } from 'node:path'

// From Node 22 on it can keep what it has compiled; left to itself it would do so in the folder for all that is
// temporary, where on a machine of many somebody else may have put code under its name.
const { HOME, XDG_CACHE_HOME = HOME && join(HOME, '.cache') } = process.env
if (XDG_CACHE_HOME && existsSync(XDG_CACHE_HOME)) module.enableCompileCache?.(join(XDG_CACHE_HOME, 'kuma', 'compiled'))
const { main } = await import('../dist/main.js')

await main(process.argv.slice(2))
