/** Before anything is drawn: the reader's choice of light or dark. A plain script, because modules wait for the document. */
{
  const chosen = localStorage.getItem('hearth-theme')
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset['theme'] = chosen
}
