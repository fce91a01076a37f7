"""Generated parts of the documentation: import diagrams and the table of licences.

__main__   the command `scripts/docs`
sections   generated sections between markers in Markdown files
imports    imports between packages and folders, as Mermaid diagrams
licences   licences of the installed packages, as a table
"""
