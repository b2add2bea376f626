/** AVA loads this in the process of each test file: lists of processes tell which one it is. */
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'

process.title = relative(process.cwd(), fileURLToPath(test.meta.file))
