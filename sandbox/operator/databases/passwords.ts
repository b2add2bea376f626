import { randomInt } from 'node:crypto'

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** 16 letters and digits, as KubeDB makes for a new database. */
export function newPassword(): string {
  return draw(letters, 16)
}

/** 16 characters with symbols that need percent-encoding in a URI, as KubeDB makes when rotating. */
export function rotatedPassword(): string {
  return draw(`${letters}!$%*;:.,@/?#`, 14) + draw('@/:;%#?', 2)
}

function draw(alphabet: string, length: number): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('')
}
