from rcedu.cli import main

main()
