/** A real browser without a window: Debian's Chromium, driven over its own protocol. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import puppeteer, { type Browser } from 'puppeteer-core'

/** @returns the path of Chromium; undefined where there is none on PATH */
export function chromium(): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(folder, 'chromium')
    if (folder !== '' && existsSync(file)) return file
  }
  return undefined
}

/** @param file path of Chromium */
export async function openBrowser(file: string): Promise<Browser> {
  return puppeteer.launch({
    executablePath: file,
    headless: true,
    // Beside everything else that CI runs, its start may take longer than the usual half minute.
    timeout: 120_000,
    // In containers the user is root, for whom Chromium's own sandbox does not work; it visits this machine only.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--no-first-run'],
  })
}
