import { useEffect, useRef, useState } from 'react'

// A page of a paper in the side panel. Everything in it is a page of its own: /page/<paper>/<number>.
export default function ScholionPage() {
  const frame = useRef(null)
  const [height, setHeight] = useState(600)

  // As high as the window allows below the panel's title.
  useEffect(() => {
    const measure = () => {
      const top = frame.current?.getBoundingClientRect().top || 0
      setHeight(Math.max(320, window.innerHeight - top - 24))
    }
    measure()
    const late = setTimeout(measure, 400) // the panel slides in, and its title may take two lines
    window.addEventListener('resize', measure)
    return () => { clearTimeout(late); window.removeEventListener('resize', measure) }
  }, [])

  return (
    <iframe id="page-of-paper" ref={frame} src={props.address} title={props.title}
      className="w-full rounded-lg border" style={{ height: `${height}px`, border: 0 }}
      onLoad={() => frame.current?.contentWindow?.focus()} />
  )
}
