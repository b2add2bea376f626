/**
 * The one script: looks again while something is under way, and once somebody comes back to the page. It does not hold
 * a connection open: that would keep the function from going to sleep.
 */
export const follow = `'use strict'
const soon = 2000
let tag = null
let looked = Date.now()
let timer

const wait = () => {
  clearTimeout(timer)
  if (!document.hidden && document.querySelector('main[data-moving]')) timer = setTimeout(look, soon)
}

const look = async () => {
  looked = Date.now()
  try {
    const answer = await fetch(location.href, {
      headers: { 'X-Follow': '1', ...(tag ? { 'If-None-Match': tag } : {}) },
      cache: 'no-store',
    })
    // Signed out, or removed: the page itself says which.
    if (answer.status === 401 || answer.status === 404) return location.reload()
    if (answer.status === 200) {
      tag = answer.headers.get('ETag')
      show(new DOMParser().parseFromString(await answer.text(), 'text/html'))
    }
  } catch {
    // The next look may have an answer.
  }
  wait()
}

// Keeps what is open open, and who reads by keyboard where they are.
const show = (next) => {
  const old = document.querySelector('main')
  const main = next.querySelector('main')
  if (!old || !main) return
  for (const open of old.querySelectorAll('details[open]')) {
    const same = open.id && main.querySelector('#' + CSS.escape(open.id))
    if (same) same.open = true
  }
  const focused = document.activeElement?.id
  document.title = next.title
  // What a screen reader tells, and only where it has changed.
  const told = document.querySelector('[role=status]')
  const tell = next.querySelector('[role=status]')?.textContent
  if (told && told.textContent !== tell) told.textContent = tell
  old.replaceChildren(...main.childNodes)
  old.toggleAttribute('data-moving', main.hasAttribute('data-moving'))
  if (focused) document.getElementById(focused)?.focus()
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) clearTimeout(timer)
  else if (Date.now() - looked > soon) look()
  else wait()
})
wait()
`
