/**
 * AVA loads this in the process of each test file: lists of processes tell which one it is, and who runs the tests
 * learns when it has ended.
 */
import { appendFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import type { EndedFile } from '../ended-files.ts'

const file = relative(process.cwd(), fileURLToPath(test.meta.file))
process.title = file

const { TEST_ENDS } = process.env
if (TEST_ENDS !== undefined) {
  process.once('exit', () => {
    const ended: EndedFile = { file, seconds: Math.round(process.uptime() * 10) / 10 }
    appendFileSync(TEST_ENDS, `${JSON.stringify(ended)}\n`)
  })
}
