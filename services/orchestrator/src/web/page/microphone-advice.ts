/** Why there is no microphone, and what to do about it, in words for the person in front of the page. */

export type Advice = { readonly title: string; readonly text: string }

/** Browsers give the microphone to https pages and to localhost only. */
export function insecureAdvice(address: { host: string; hostname: string; port: string }): Advice {
  return {
    title: 'The browser keeps the microphone from this page',
    text:
      `Microphones are for https pages and for localhost, and this one came over plain http from ${address.host}. ` +
      'Typing works. To talk, open it over https (`docker compose --profile https up` brings a certificate), or on the machine itself, or bring ' +
      `its port here: ssh -L 8080:localhost:${address.port || '80'} ${address.hostname}, then http://localhost:8080.`,
  }
}

/** For what `getUserMedia` was refused with. */
export function refusalAdvice(name: string): Advice {
  if (name === 'NotAllowedError')
    return {
      title: 'The microphone is not allowed for this page',
      text: 'Allow it beside the address, in the site’s settings, and press the button again. Typing works without it.',
    }
  if (name === 'NotFoundError')
    return { title: 'There is no microphone', text: 'Plug one in and press the button again. Typing works without it.' }
  if (name === 'NotReadableError')
    return {
      title: 'The microphone is busy',
      text: 'Another program holds it. Close that one and press the button again.',
    }
  return { title: 'The microphone does not start', text: `The browser says ${name}. Typing works without it.` }
}
