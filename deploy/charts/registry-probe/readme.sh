#!/bin/sh
# Writes README.md: the text of README.md.in, and a table of what values.yaml says of each value (`# -- text`).
set -eu
cd "$(dirname "$0")"
{
    cat README.md.in
    printf '\n| value | default | meaning |\n|---|---|---|\n'
    awk '
        # A value of several lines is shown as the first of them and an ellipsis.
        function flush() {
            if (name == "") return
            if (value == "") value = first " …"
            gsub(/\|/, "\\|", value)
            printf "| `%s` | `%s` | %s |\n", name, value, text
            name = ""
        }
        /^ *# -- / { flush(); text = $0; sub(/^ *# -- /, "", text); gsub(/\|/, "\\|", text); said = 1; next }
        /^$/ { next }
        {
            depth = match($0, /[^ ]/) - 1
            key = $0
            sub(/^ */, "", key)
            if (!said && name != "" && depth > depth_of_name) {
                if (first == "") first = key
                next
            }
            sub(/:.*/, "", key)
            full = depth == 0 ? key : group[depth - 2] "." key
            if (!said) { flush(); group[depth] = full; next }
            name = full; depth_of_name = depth; first = ""; said = 0
            value = $0
            sub(/^[^:]*: */, "", value)
            if ($0 ~ /:$/) value = ""
        }
        END { flush() }
    ' values.yaml
} >README.md
